/* sevsecret: the disk's key from the secret area that a confidential VM's owner filled.
   SPDX-License-Identifier: GPL-3.0-or-later

   Part of GRUB once it is built in.  Written from the public description of the
   format: an EFI configuration table holds two 64-bit numbers, base and size of
   the area; in it a GUID, a 32-bit length of the whole table and entries of the
   same form, each length counting its own 20 bytes of header.

   GNU GRUB is free software: you can redistribute it and/or modify it under the
   terms of the GNU General Public License as published by the Free Software
   Foundation, either version 3 of the License, or (at your option) any later
   version.  It comes with no warranty.  */

#include <grub/command.h>
#include <grub/dl.h>
#include <grub/efi/api.h>
#include <grub/efi/efi.h>
#include <grub/i18n.h>
#include <grub/launch_secret.h>
#include <grub/misc.h>
#include <grub/term.h>

GRUB_MOD_LICENSE ("GPLv3+");

/* LUKS in GRUB reads no more than this, with the NUL.  */
#define KEY_SIZE 256

static const grub_efi_guid_t area_guid = { 0xadf956ad, 0xe98c, 0x484c,
  { 0xae, 0x11, 0xb5, 0x1c, 0x7d, 0x33, 0x64, 0x47 } };
static const grub_efi_guid_t table_guid = { 0x1e74f542, 0x71dd, 0x4d66,
  { 0x96, 0x3e, 0xef, 0x42, 0x87, 0xff, 0x17, 0x3b } };
static const grub_efi_guid_t disk_guid = { 0x736869e5, 0x84f0, 0x4973,
  { 0x92, 0xec, 0x06, 0x87, 0x9c, 0xe3, 0xda, 0x0b } };

struct area
{
  grub_uint64_t base;
  grub_uint64_t size;
} GRUB_PACKED;

struct part
{
  grub_efi_guid_t guid;
  grub_uint32_t size;
} GRUB_PACKED;

static char key[KEY_SIZE];

static void
wipe (void *memory, grub_size_t size)
{
  volatile grub_uint8_t *byte = memory;

  while (size--)
    *byte++ = 0;
}

void
grub_launch_secret_forget (void)
{
  wipe (key, sizeof (key));
}

int
grub_launch_secret_answer (char *answer, unsigned size)
{
  if (!key[0] || grub_strlen (key) >= size)
    return 0;
  grub_strcpy (answer, key);
  return 1;
}

static const struct area *
find_area (void)
{
  grub_efi_uintn_t i;

  for (i = 0; i < grub_efi_system_table->num_table_entries; i++)
    {
      grub_efi_configuration_table_t *table = &grub_efi_system_table->configuration_table[i];

      if (!grub_memcmp (&table->vendor_guid, &area_guid, sizeof (area_guid)))
	return table->vendor_table;
    }
  return 0;
}

/* Keep the value of the disk's entry as a string; a value that is none is refused.  */
static grub_err_t
keep (const grub_uint8_t *value, grub_size_t size)
{
  while (size && !value[size - 1])
    size--;
  if (!size || size >= sizeof (key) || grub_memchr (value, 0, size))
    return grub_error (GRUB_ERR_BAD_ARGUMENT, "the disk's key is no text of 1 to 255 bytes");
  grub_memcpy (key, value, size);
  return GRUB_ERR_NONE;
}

/* Take the key from the table in the SIZE bytes at MEMORY.  */
static grub_err_t
take (const grub_uint8_t *memory, grub_uint64_t size)
{
  struct part part;
  grub_uint64_t at, end;

  if (size < sizeof (part))
    return grub_error (GRUB_ERR_BAD_ARGUMENT, "the secret area is too small");
  grub_memcpy (&part, memory, sizeof (part));
  if (grub_memcmp (&part.guid, &table_guid, sizeof (table_guid))
      || part.size < sizeof (part) || part.size > size)
    return grub_error (GRUB_ERR_FILE_NOT_FOUND, "no table in the secret area");
  end = part.size;
  for (at = sizeof (part); end - at >= sizeof (part); at += part.size)
    {
      grub_memcpy (&part, memory + at, sizeof (part));
      if (part.size < sizeof (part) || part.size > end - at)
	return grub_error (GRUB_ERR_BAD_ARGUMENT, "an entry of the secret table has a bad length");
      if (!grub_memcmp (&part.guid, &disk_guid, sizeof (disk_guid)))
	return keep (memory + at + sizeof (part), part.size - sizeof (part));
    }
  return grub_error (GRUB_ERR_FILE_NOT_FOUND, "no disk key in the secret table");
}

static grub_err_t
grub_cmd_sevsecret (grub_command_t command __attribute__ ((unused)),
		    int argc __attribute__ ((unused)), char **args __attribute__ ((unused)))
{
  const struct area *area = find_area ();
  grub_err_t result;

  grub_launch_secret_forget ();
  if (!area || !area->base)
    return grub_error (GRUB_ERR_FILE_NOT_FOUND, "the firmware names no secret area");
  result = take ((const grub_uint8_t *) (grub_addr_t) area->base, area->size);
  /* All of it, whatever came of it: other entries are secrets as well.  */
  wipe ((void *) (grub_addr_t) area->base, area->size);
  grub_printf ("The secret area is wiped: 0x%llx bytes.\n", (unsigned long long) area->size);
  return result;
}

/* The host has the keyboard and the serial line: nobody types to this GRUB.  */
static void
close_inputs (void)
{
  while (grub_term_inputs)
    grub_term_unregister_input (grub_term_inputs);
  while (grub_term_inputs_disabled)
    grub_term_unregister_input (grub_term_inputs_disabled);
}

static grub_command_t commands[2];

GRUB_MOD_INIT (sevsecret)
{
  close_inputs ();
  commands[0] = grub_register_command ("sevsecret", grub_cmd_sevsecret, 0,
				       N_("Take the disk's key from the launch secret and wipe it."));
  commands[1] = grub_register_command ("efisecret", grub_cmd_sevsecret, 0,
				       N_("Take the disk's key from the launch secret and wipe it."));
}

GRUB_MOD_FINI (sevsecret)
{
  grub_unregister_command (commands[0]);
  grub_unregister_command (commands[1]);
  grub_launch_secret_forget ();
}
