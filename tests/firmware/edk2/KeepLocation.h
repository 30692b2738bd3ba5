/** @file
  Puts what tells the operating system of the secret area where it may still be read.

  SPDX-License-Identifier: BSD-2-Clause-Patent
**/

#ifndef KEEP_LOCATION_H_
#define KEEP_LOCATION_H_

#include <PiDxe.h>
#include <Guid/ConfidentialComputingSecret.h>
#include <Library/UefiBootServicesTableLib.h>

//
// A variable of this driver lies in memory that Linux takes for itself before it looks
// for the secret. Newer edk2 has the same remedy.
//
STATIC
VOID *
KeepLocation (
  IN  CONST CONFIDENTIAL_COMPUTING_SECRET_LOCATION  *Location
  )
{
  CONFIDENTIAL_COMPUTING_SECRET_LOCATION  *Kept;
  EFI_STATUS                              Status;

  Status = gBS->AllocatePool (EfiACPIReclaimMemory, sizeof *Kept, (VOID **)&Kept);
  if (EFI_ERROR (Status)) {
    return NULL;
  }

  Kept->Base = Location->Base;
  Kept->Size = Location->Size;
  return Kept;
}

#endif
