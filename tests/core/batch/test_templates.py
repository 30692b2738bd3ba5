# SPDX-License-Identifier: Apache-2.0
"""Templates, ranges and machines of a manifest: what they come to, and what is wrong with them."""

from __future__ import annotations

import pytest

from watchword.core.batch import checking, templates
from watchword.core.batch.ranges import launches_of, read_launch_name
from watchword.core.errors import UsageError
from watchword.core.guest.problems import FieldProblem

RACK = '[hosts.rack]\nurl = "qmp+unix:///run/{name}"\nlimit = 7\n'
WEB = '[templates.web]\nguest = "web"\non = "rack"\n'


def launch(name, more='template = "web"\n'):
    return f'[[launch]]\nname = "{name}"\n{more}'


# -- ranges ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("web", ["web"]),
        ("web{1..3}", ["web1", "web2", "web3"]),
        ("web{08..10}.lab", ["web08.lab", "web09.lab", "web10.lab"]),
        ("{9..10}", ["9", "10"]),
        ("a{5..5}", ["a5"]),
    ],
)
def test_a_name_stands_for_its_range(text, names):
    assert [one.name for one in launches_of(read_launch_name(text))] == names


@pytest.mark.parametrize(
    "text", ["a{2..1}", "a{1..20000}", "a{1..2}{1..2}", "-{1..2}", "a{1..2}.", "a{x..y}", "a{1..2"]
)
def test_a_name_that_is_no_range_is_refused(text):
    with pytest.raises(FieldProblem):
        read_launch_name(text)


def test_a_range_is_a_launch_for_each_number(fleet):
    text = RACK + WEB + launch("v{1..200}")
    found = fleet.check(text)
    assert len(found.launches) == 200
    assert found.launches[41].name == "v42"
    assert found.launches[41].host == "qmp+unix:///run/v42"
    assert {one.machine for one in found.launches} == {"rack"}
    assert found.limits == {"rack": 7}


def test_the_launches_of_a_range_take_turns_on_machines(fleet):
    hosts = "".join(
        f'[hosts.{name}]\nurl = "qmp+tcp://{name}:45{{number}}"\n' for name in ("r1", "r2")
    )
    text = hosts + launch("v{10..13}", 'guest = "web"\non = ["r1", "r2"]\n')
    found = [(one.machine, one.host) for one in fleet.check(text).launches]
    assert found[:3] == [
        ("r1", "qmp+tcp://r1:4510"),
        ("r2", "qmp+tcp://r2:4511"),
        ("r1", "qmp+tcp://r1:4512"),
    ]


def test_only_some_of_a_fleet(fleet):
    found = fleet.check(RACK + WEB + launch("v{1..20}") + launch("db"))
    assert [one.name for one in found.only(["v1?", "db"]).launches][-2:] == ["v19", "db"]
    assert found.only([]) is found
    with pytest.raises(UsageError, match="x\\*"):
        found.only(["v1", "x*"])


# -- templates ---------------------------------------------------------------------


def test_the_nearest_word_counts(fleet):
    text = (
        '[defaults]\nwait = 1\nout = "d"\n'
        + RACK
        + '[templates.base]\nguest = "web"\non = "rack"\nwait = 2\nout = "b"\n'
        + '[templates.web]\nextends = "base"\nwait = 3\n'
        + launch("a", 'template = "web"\n')
        + launch("b", 'template = "web"\nwait = 4\nhost = "qmp+unix:///run/own"\n')
    )
    a, b = fleet.check(text).launches
    assert (a.wait, a.folder, a.host) == (3, fleet.path / "b" / "a", "qmp+unix:///run/a")
    assert (b.wait, b.host, b.machine) == (4, "qmp+unix:///run/own", "rack")


def test_everything_that_is_wrong_is_told_at_once_with_its_place(fleet):
    text = (
        '[hosts.rack]\nurl = "qmp+unix:///run/{name}"\nlimit = 0\n'  # 1-3
        '[templates.a]\nextends = "b"\n'  # 4-5
        '[templates.b]\nextends = "a"\n'  # 6-7
        '[templates.c]\nextends = "nobody"\non = "nowhere"\n'  # 8-10
        '[templates.web]\nguest = "web"\nhost = "qmp+unix:///run/{name}"\n'  # 11-13
        '[[launch]]\nname = "v{3..1}"\ntemplate = "web"\n'  # 14-16
        '[[launch]]\nname = "v{1..9}"\ntemplate = "wed"\n'  # 17-19
        '[[launch]]\nname = "v5"\ntemplate = "web"\n'  # 20-22
        '[[launch]]\nname = "x{1..2}"\nguest = "nobody"\nhost = "qmp+unix:///run/x"\n'  # 23-26
        '[[launch]]\nname = "y"\ntemplate = "a"\nbogus = 1\n'  # 27-30
    )
    found = fleet.problems(text)
    assert set(found) == {
        ("hosts.rack.limit", 3),
        ("templates.a.extends", 5),
        ("templates.b.extends", 7),
        ("templates.c.extends", 9),
        ("templates.c.on", 10),
        ("launch.0.name", 15),
        ("launch.1.template", 19),
        ("launch.2.name", 21),
        ("launch.3.guest", 25),
        ("launch.4.bogus", 30),
    }
    assert "a -> b -> a" in found["templates.a.extends", 5]
    assert "Is “web” meant?" in found["launch.1.template", 19]
    assert "launch[1] has this name too" in found["launch.2.name", 21]


def test_a_wrong_url_is_told_where_it_stands_and_once(fleet):
    text = RACK.replace("qmp+unix", "ftp") + WEB + launch("v{1..200}")
    [(place, sentence)] = fleet.problems(text).items()
    assert place == ("hosts.rack.url", 2)
    assert sentence


def test_one_socket_for_a_whole_range_is_told(fleet):
    text = RACK.replace("{name}", "one") + WEB + launch("v{1..3}")
    [sentence] = fleet.problems(text).values()
    assert "“v1” is launched at" in sentence


def test_ranges_together_have_a_limit(fleet):
    text = RACK + WEB + launch("a{1..6000}") + launch("b{1..6000}")
    assert "more than 10000" in fleet.problems(text)["launch.1.name", 11]


def test_a_profile_in_the_manifest_takes_no_guest_from_a_template(fleet):
    inline = "[launch.profile]\n" + "".join(
        f"{key} = {value!r}\n" for key, value in fleet.document(name=None).items()
    )
    found = fleet.problems(RACK + WEB + launch("a") + inline)
    assert not any("there are both" in sentence for sentence in found.values())


def test_ranges_without_end_are_not_looked_through_where_nothing_is_sound(fleet, monkeypatch):
    expanded = []

    def counted(name):
        for one in launches_of(name):
            expanded.append(one)
            yield one

    for module in (checking, templates):
        monkeypatch.setattr(module, "launches_of", counted)
    text = "format = 1\n" + "".join(
        f'[[launch]]\nname = "a{i}-{{1..9999}}"\nguest = "nobody"\nhost = "qmp+unix:///{i}"\n'
        for i in range(50)
    )
    assert "more than 10000" in str(fleet.problems(text))
    assert len(expanded) < 40_000
