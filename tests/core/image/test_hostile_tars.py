# SPDX-License-Identifier: Apache-2.0
"""Archives with numbers and names that no file system can hold: refused in words, unbuilt."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from watchword.core.errors import BadInput
from watchword.core.image.tar_source import TarSource

USER = "SCHILY.xattr.user."


def entries(path: Path, kind: bytes = tarfile.REGTYPE, **values):
    """What is read of an archive with one member of these values."""
    member = tarfile.TarInfo("member")
    member.type = kind
    for name, value in values.items():
        setattr(member, name, value)
    ours = tarfile.PAX_FORMAT if "pax_headers" in values else tarfile.GNU_FORMAT
    with tarfile.open(path, "w", format=ours) as tar:
        tar.addfile(member)
    return [entry for entry, _ in TarSource(path).entries()]


@pytest.mark.parametrize(
    "values",
    [
        {"kind": tarfile.CHRTYPE, "devmajor": -1},
        {"kind": tarfile.CHRTYPE, "devmajor": 1 << 12},
        {"kind": tarfile.BLKTYPE, "devminor": -1},
        {"kind": tarfile.BLKTYPE, "devminor": 1 << 20},
        {"pax_headers": {f"{USER}{'a' * 251}": "x"}},
        {"pax_headers": {f"{USER}a\n": "x"}},
        {"pax_headers": {f"{USER}{number:04}": "" for number in range(460)}},
        {"kind": tarfile.SYMTYPE, "linkname": "x", "pax_headers": {"linkpath": "a\0b"}},
    ],
)
def test_what_no_file_system_can_hold_is_refused(tmp_path: Path, values) -> None:
    with pytest.raises(BadInput) as refused:
        entries(tmp_path / "root.tar", **values)
    assert refused.value.code == "root-unsafe"


def test_what_one_can_just_hold_is_read(tmp_path: Path) -> None:
    path, longest = tmp_path / "root.tar", "a" * 250
    (device,) = entries(path, tarfile.CHRTYPE, devmajor=(1 << 12) - 1, devminor=(1 << 20) - 1)
    assert device.device == (4095, 1048575)
    (file,) = entries(path, pax_headers={f"{USER}{longest}": "x"})
    assert file.xattrs == {f"user.{longest}": b"x"}


def test_an_attribute_s_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "root.tar"
    entries(path, pax_headers={f"{USER}abc": "x"})
    data = path.read_bytes()
    path.write_bytes(data.replace(b"user.abc", b"user.a\xffc"))
    with pytest.raises(BadInput) as refused:
        list(TarSource(path).entries())
    assert refused.value.code == "root-unsafe"
