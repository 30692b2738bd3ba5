/** @file
  Stops the processor where a kernel was measured and none was started, for whatever
  reason: what follows would be another way to boot, which nobody measured for.

  SPDX-License-Identifier: BSD-2-Clause-Patent
**/

#include <Uefi.h>
#include <Library/BaseLib.h>
#include <Library/SerialPortLib.h>

#include "MeasuredTable.h"

STATIC CONST CHAR8  mHalted[] = "\r\nWATCHWORD-OVMF halted: the measured kernel was not started\r\n";

VOID
HaltIfKernelWasMeasured (
  VOID
  )
{
  if (IsMeasuredTable ()) {
    SerialPortWrite ((UINT8 *)mHalted, sizeof mHalted - 1);
    CpuDeadLoop ();
  }
}
