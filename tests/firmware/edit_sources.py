# SPDX-License-Identifier: Apache-2.0
"""Puts our files and a few lines into the unpacked sources of GRUB and edk2.

Usage: edit_sources.py grub2|edk2 TREE

Each edit names the text that it hangs on; one that is not there exactly as often as
expected ends the run, so that no half-edited tree is ever built.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Final, NamedTuple

HERE: Final = Path(__file__).resolve().parent


class Edit(NamedTuple):
    """Replace ``anchor``, which ``file`` holds once, by ``text`` (``{}`` stands for the anchor)."""

    file: str
    anchor: str
    text: str


COPIES: Final = {
    "grub2": {
        "grub/sevsecret.c": "grub-core/disk/efi/sevsecret.c",
        "grub/launch_secret.h": "include/grub/launch_secret.h",
    },
    "edk2": {
        "edk2/HaltOnMismatch.c": "OvmfPkg/AmdSev/BlobVerifierLibSevHashes/HaltOnMismatch.c",
        "edk2/HaltAfterKernel.c": "OvmfPkg/Library/PlatformBootManagerLibGrub/HaltAfterKernel.c",
        "edk2/KeepLocation.h": "OvmfPkg/AmdSev/SecretDxe/KeepLocation.h",
    },
}

_CRYPTODISK: Final = "grub-core/disk/cryptodisk.c"
_LUKS: Final = "grub-core/disk/luks.c"
_VERIFIER: Final = "OvmfPkg/AmdSev/BlobVerifierLibSevHashes/"
_SECRET: Final = "OvmfPkg/AmdSev/SecretDxe/"
_BOOT: Final = "OvmfPkg/Library/PlatformBootManagerLibGrub/"

_SECRET_OPTION: Final = """\
    {"secret", 's', 0, N_("Mount all with the launch secret; never ask."), 0, 0},
"""
_MOUNT_ALL: Final = """
  if (state[3].set)
    {
      search_uuid = NULL;
      check_boot = 0;
      have_it = 0;
      grub_device_iterate (&grub_cryptodisk_scan_device, NULL);
      grub_launch_secret_forget ();
      if (!have_it)
	return grub_error (GRUB_ERR_ACCESS_DENIED, "the launch secret opens no disk");
      grub_errno = GRUB_ERR_NONE;
      return GRUB_ERR_NONE;
    }
"""
_MODULE: Final = """
module = {
  name = sevsecret;
  common = disk/efi/sevsecret.c;
  enable = efi;
};

"""

EDITS: Final = {
    "grub2": (
        Edit(_CRYPTODISK, "#include <grub/i18n.h>\n", "{}#include <grub/launch_secret.h>\n"),
        # Fourth in the list, as _MOUNT_ALL counts: after --uuid, --all and --boot.
        Edit(
            _CRYPTODISK,
            "    {0, 0, 0, 0, 0, 0}\n  };\n\n/* Our irreducible",
            f"{_SECRET_OPTION}{{}}",
        ),
        Edit(_CRYPTODISK, "  struct grub_arg_list *state = ctxt->state;\n", f"{{}}{_MOUNT_ALL}"),
        Edit(_LUKS, "#include <grub/i18n.h>\n", "{}#include <grub/launch_secret.h>\n"),
        # In this GRUB nobody is asked, whatever command opens a disk.
        Edit(_LUKS, "grub_password_get (", "grub_launch_secret_answer ("),
        Edit(_LUKS, "Enter passphrase for %s%s%s (%s): ", "The launch secret for %s%s%s (%s)\\n"),
        Edit("grub-core/Makefile.core.def", "module = {\n  name = rdmsr;", f"{_MODULE}{{}}"),
    ),
    "edk2": (
        Edit(f"{_VERIFIER}BlobVerifierSevHashes.c", "\nVerifyBlob (\n", "\nCheckBlob (\n"),
        Edit(
            f"{_VERIFIER}BlobVerifierLibSevHashes.inf",
            "  BlobVerifierSevHashes.c\n",
            "{}  HaltOnMismatch.c\n  MeasuredTable.h\n",
        ),
        Edit(
            f"{_VERIFIER}BlobVerifierLibSevHashes.inf",
            "[LibraryClasses]\n",
            "{}  BaseLib\n  SerialPortLib\n",
        ),
        Edit(
            f"{_SECRET}SecretDxe.c",
            "#include <Guid/ConfidentialComputingSecret.h>\n",
            '{}#include "KeepLocation.h"\n',
        ),
        Edit(f"{_SECRET}SecretDxe.c", "&mSecretDxeTable\n", "KeepLocation (&mSecretDxeTable)\n"),
        Edit(
            f"{_BOOT}BdsPlatform.c",
            "  TryRunningQemuKernel ();\n",
            "{}  HaltIfKernelWasMeasured ();\n",
        ),
        Edit(
            f"{_BOOT}BdsPlatform.h",
            "\n#endif",
            "\nVOID\nHaltIfKernelWasMeasured (\n  VOID\n  );\n{}",
        ),
        Edit(
            f"{_BOOT}PlatformBootManagerLibGrub.inf",
            "  BdsPlatform.h\n",
            "{}  HaltAfterKernel.c\n  MeasuredTable.h\n",
        ),
        Edit(f"{_BOOT}PlatformBootManagerLibGrub.inf", "[LibraryClasses]\n", "{}  SerialPortLib\n"),
        Edit(
            f"{_BOOT}PlatformBootManagerLibGrub.inf",
            "[Protocols]\n",
            "[FixedPcd]\n  gUefiOvmfPkgTokenSpaceGuid.PcdQemuHashTableBase\n\n{}",
        ),
    ),
}


def edit_file(edit: Edit, tree: Path) -> None:
    """Make one edit, or end the run where its anchor is not there just once."""
    path = tree / edit.file
    text = path.read_text(encoding="utf-8")
    if text.count(edit.anchor) != 1:
        times = text.count(edit.anchor)
        sys.exit(f"{edit.file}: {edit.anchor!r} is there {times} times, not once")
    path.write_text(text.replace(edit.anchor, edit.text.replace("{}", edit.anchor)), "utf-8")


def main() -> int:
    """Copy our files into the tree, then make the edits."""
    name, tree = sys.argv[1], Path(sys.argv[2])
    for ours, theirs in COPIES[name].items():
        shutil.copyfile(HERE / ours, tree / theirs)
    if name == "edk2":
        for folder in (_VERIFIER, _BOOT):
            shutil.copyfile(HERE / "edk2/MeasuredTable.h", tree / folder / "MeasuredTable.h")
    for edit in EDITS[name]:
        edit_file(edit, tree)
    return 0


if __name__ == "__main__":
    sys.exit(main())
