/* launch_secret.h: who has the disk's key that the owner of a confidential VM injected.
   SPDX-License-Identifier: GPL-3.0-or-later

   Part of GRUB once it is built in; see sevsecret.c for licence and format.  */

#ifndef GRUB_LAUNCH_SECRET_HEADER
#define GRUB_LAUNCH_SECRET_HEADER 1

#include <grub/symbol.h>

/* Puts the key into ANSWER as a string, if it fits SIZE bytes with its NUL; 0 if
   there is none.  It never asks anybody.  */
int EXPORT_FUNC (grub_launch_secret_answer) (char *answer, unsigned size);

/* Wipes the key.  */
void EXPORT_FUNC (grub_launch_secret_forget) (void);

#endif
