/** @file
  Stops the processor where QEMU offers a kernel, initrd or command line other than
  the measured one, as edk2 does by itself since edk2-stable202408.

  SPDX-License-Identifier: BSD-2-Clause-Patent
**/

#include <Base.h>
#include <Library/BaseLib.h>
#include <Library/BlobVerifierLib.h>
#include <Library/SerialPortLib.h>

#include "MeasuredTable.h"

// The function that was VerifyBlob before this file took its place.
EFI_STATUS
EFIAPI
CheckBlob (
  IN  CONST CHAR16  *BlobName,
  IN  CONST VOID    *Buf,
  IN  UINT32        BufSize
  );

STATIC CONST CHAR8  mHalted[] = "\r\nWATCHWORD-OVMF halted: not the measured kernel, initrd or command line\r\n";

EFI_STATUS
EFIAPI
VerifyBlob (
  IN  CONST CHAR16  *BlobName,
  IN  CONST VOID    *Buf,
  IN  UINT32        BufSize
  )
{
  EFI_STATUS  Status;

  Status = CheckBlob (BlobName, Buf, BufSize);
  //
  // Without a table there is nothing to check against: then no kernel may come at all.
  //
  if (EFI_ERROR (Status) && (IsMeasuredTable () || (BufSize != 0))) {
    SerialPortWrite ((UINT8 *)mHalted, sizeof mHalted - 1);
    CpuDeadLoop ();
  }

  return Status;
}
