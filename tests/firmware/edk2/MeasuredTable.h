/** @file
  Whether the measured memory holds a table of kernel hashes.

  SPDX-License-Identifier: BSD-2-Clause-Patent
**/

#ifndef MEASURED_TABLE_H_
#define MEASURED_TABLE_H_

#include <Library/BaseMemoryLib.h>
#include <Library/PcdLib.h>

STATIC
BOOLEAN
IsMeasuredTable (
  VOID
  )
{
  STATIC CONST GUID  Table = {
    0x9438d606, 0x4f22, 0x4cc9, { 0xb4, 0x79, 0xa7, 0x93, 0xd4, 0x11, 0xfd, 0x21 }
  };
  CONST VOID         *Base;

  Base = (CONST VOID *)(UINTN)FixedPcdGet32 (PcdQemuHashTableBase);
  return (BOOLEAN)((Base != NULL) && CompareGuid ((CONST GUID *)Base, &Table));
}

#endif
