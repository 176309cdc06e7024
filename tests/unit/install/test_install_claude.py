"""Installing Claude Code's hooks into settings of any layout, and taking them out again."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from install_home import Home

from agentdiff.install.claude import EVENTS, HOOKS
from agentdiff.install.jsonsplice import Document


@pytest.fixture(scope="module")
def shared() -> Iterator[Path]:
    """A folder for tests that make a home per example."""
    with tempfile.TemporaryDirectory(prefix="ad-", dir="/tmp") as folder:
        yield Path(folder)


# An example edits thirteen events, several times: a third of them fits into the time of the others.
FEWER = hypothesis_settings(max_examples=hypothesis_settings.default.max_examples // 3)

GROUP = {"matcher": "Edit", "hooks": [{"type": "command", "command": "notify \"$X\" 'é'"}]}
SPACE = st.sampled_from(["", " ", "\n", "\r\n", "\t", "\n\n  "])
FOREIGN = st.dictionaries(
    st.sampled_from(["PreToolUse", "Stop", "SessionEnd", "FutureEvent"]),
    st.lists(st.just(GROUP), max_size=2),
)
OTHERS = st.dictionaries(
    st.sampled_from(["model", "permissions", "env", "ü", "hooks2"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda below: st.lists(below, max_size=2) | st.dictionaries(st.text(max_size=3), below),
        max_leaves=5,
    ),
)


@st.composite
def settings(draw: st.DrawFn) -> bytes:
    """A settings file in any layout, with and without foreign hooks; perhaps blank."""
    bom = draw(st.sampled_from(["", "\ufeff"]))
    if draw(st.integers(0, 9)) == 0:
        return (bom + draw(SPACE)).encode()
    document: dict[str, Any] = draw(OTHERS)
    if draw(st.booleans()):
        document["hooks"] = draw(FOREIGN)
        document = dict(draw(st.permutations(list(document.items()))))
    layout = draw(
        st.sampled_from(
            [{"indent": 2}, {"indent": "\t"}, {"indent": 1}, {"separators": (",", ":")}, {}]
        )
    )
    text = json.dumps(document, ensure_ascii=draw(st.booleans()), **layout)
    if draw(st.booleans()):
        text = text.replace("{}", "{" + draw(SPACE) + "}").replace("[]", "[" + draw(SPACE) + "]")
    if draw(st.booleans()):
        text = text.replace("\n", "\r\n")
    return (bom + draw(SPACE) + text + draw(SPACE)).encode("utf-8", "surrogatepass")


def _load(data: bytes) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(data.decode("utf-8-sig"))
    return loaded


@FEWER
@given(data=settings())
def test_uninstalling_restores_every_byte(shared: Path, data: bytes) -> None:
    """Installing, installing again and uninstalling leaves the file as it was, whatever it was."""
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        home = Home(Path(folder))
        home.write(data)
        home.install()
        home.install()
        home.uninstall()
        assert home.settings.read_bytes() == data


def _document(data: bytes) -> Document:
    document = Document(data)
    if document.blank:
        document.begin()
    return document


HOOK = {"type": "command", "command": "/x/agentdiff-hook", "args": ["claude"], "timeout": 1}


@FEWER
@given(data=settings())
def test_installing_adds_one_group_per_event_and_nothing_else(data: bytes) -> None:
    """What the settings meant they still mean; each event has our group behind those of others."""
    document = _document(data)
    expected = _load(document.to_bytes())
    for event in EVENTS:
        groups = expected.setdefault("hooks", {}).setdefault(event, [])
        groups.append({"matcher": "", "hooks": [HOOK]})
    HOOKS.add(document, HOOK)
    assert _load(document.to_bytes()) == expected


@FEWER
@given(data=settings())
def test_installing_again_changes_nothing(data: bytes) -> None:
    """The second installation finds everything in place."""
    document = _document(data)
    HOOKS.add(document, HOOK)
    installed = document.to_bytes()
    kept = HOOKS.add(document, HOOK)
    assert (document.to_bytes(), kept) == (installed, {})


@FEWER
@given(data=settings(), at_front=st.booleans(), indent=st.none() | st.integers(0, 3))
def test_what_somebody_added_meanwhile_survives(
    data: bytes, at_front: bool, indent: int | None
) -> None:
    """A key and a hook that came after us stay when we go, even if the file was laid out anew."""
    document = _document(data)
    before = _load(document.to_bytes())
    kept = HOOKS.add(document, HOOK)
    changed = _load(document.to_bytes())
    stop = changed["hooks"]["Stop"]
    stop.insert(0 if at_front else len(stop), GROUP)
    changed = {"added": 1, **changed} if at_front else {**changed, "added": 1}
    document = Document(json.dumps(changed, indent=indent).encode())
    HOOKS.remove(document, kept)
    stop = before.setdefault("hooks", {}).setdefault("Stop", [])
    stop.insert(0 if at_front else len(stop), GROUP)
    left = _load(document.to_bytes())
    assert left == {**before, "added": 1}
