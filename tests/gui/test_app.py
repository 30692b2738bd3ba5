# SPDX-License-Identifier: Apache-2.0
"""What ``watchword-gui`` does while there is no window."""

from __future__ import annotations

from watchword.gui.app import main


def test_without_a_window_it_names_the_command_to_use_and_exits_2(capsys) -> None:
    assert main() == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert "watchword rehearse" in err
