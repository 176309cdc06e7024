"""What must hold when everybody has stopped.

Owns the comparison of daemon and disk with the recorder, and of the samples with their limits.
"""

from __future__ import annotations

import base64
import itertools
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from agentdiff.client import Client
from tests.soak.machine import Machine, Sample
from tests.soak.people import ask
from tests.soak.recorder import Content, Recorder, go_back, snapshot, tokens
from tests.soak.report import Row

H3_AT_MOST = 6.0
RSS_GROWTH_KIB_PER_CALL = 6.0
# Two contents of 5.4 KiB and three hunks: 2,000 files that pend, in the ledger alone.
PENDING_FILE_KIB = 19
FILES_GROWTH = 12
_EXPLAINED_AT_ONCE = 200
_LATE = "announced as not restorable: a busy machine, or the first cut"
_JUDGED_FROM_CALLS = 10_000


def state_rows(made: Machine, recorder: Recorder, client: Client) -> Iterator[Row]:
    """Yields what pends, whose it is, and what rejecting and accepting everything makes of it."""
    root = str(made.root)
    status = ask(client, "status", workspace=root)
    expected = {file.path: file for file in recorder.pending()}
    found = {file["path"]: file for file in status["files"]}
    late = {path for path, file in found.items() if "uncertain" in file["coverage"]}
    yield Row(what="files whose baseline came late", value=len(late), note=_LATE)
    unsettled = 0 if status["settled"] else 1
    yield Row(what="unsettled at the end", value=unsettled, at_most=0)
    yield Row(what="files that pend", value=len(found), at_least=1)
    lost = _and_renamed(found, expected)
    for path in sorted(lost):
        recorder.problem(f"lost, it does not pend: {expected[path].story()}")
    yield Row(what="changed files that do not pend", value=len(lost), at_most=0)
    strange = [path for path in found if path not in expected]
    for path in sorted(strange):
        recorder.problem(f"{path} pends and holds its base: {found[path]['hunks'][:1]}")
    yield Row(what="files that pend without a change", value=len(strange), at_most=0)
    yield Row(what="wrong on disk", value=_wrong_on_disk(recorder, "at the end"), at_most=0)
    yield Row(what="wrong bases", value=_wrong_bases(recorder, client, root, found), at_most=0)
    yield from _owner_rows(recorder, client, root, status)
    yield from _decide_all(made, recorder, client)


def _and_renamed(found: dict[str, Any], expected: dict[str, Any]) -> set[str]:
    """Returns the changed paths that do not pend; of a rename the old one is told by the new."""
    told = {file["old_path"] for file in found.values() if "old_path" in file}
    return set(expected) - set(found) - told


def _wrong_on_disk(recorder: Recorder, when: str) -> int:
    return sum(not recorder.check(file, when) for file in recorder.everything())


def _wrong_bases(recorder: Recorder, client: Client, root: str, found: dict[str, Any]) -> int:
    wrong = 0
    for path in found:
        file = recorder.files.get(path)
        if file is None or "old_path" in found[path] or "uncertain" in found[path]["coverage"]:
            continue
        told = client.call("baseline.show", workspace=root, path=path)
        absent = told["kind"] == "absent"
        data = None if absent else base64.b64decode(told["data_b64"])
        base = Content(data, not absent and bool(told["mode"] & 0o100))
        if base != file.base:
            wrong += 1
            recorder.problem(f"base is {base.brief()}, not {file.base.brief()}: {file.story()}")
    return wrong


def _owner_rows(
    recorder: Recorder, client: Client, root: str, status: dict[str, Any]
) -> Iterator[Row]:
    """Yields how many pending lines are somebody else's by the daemon's account.

    A line says itself whose it is.  A shared owner is right when the author is among them.
    """
    ids = [hunk["id"] for file in status["files"] for hunk in file["hunks"]]
    counts: Counter[str] = Counter()
    for start in range(0, len(ids), _EXPLAINED_AT_ONCE):
        part = ids[start : start + _EXPLAINED_AT_ONCE]
        told = client.call("explain", workspace=root, hunks=part)["hunks"]
        for hunk in told:
            _judge(recorder, hunk, status, counts)
    yield Row(what="lines with an owner", value=counts["lines"])
    came_late = client.call("daemon.status")["metrics"]["hooks"]["uncertain"]
    yield Row(
        what="of them with the wrong owner",
        value=counts["wrong"],
        at_most=came_late,
        note="one for each baseline that came late: what is seen late has a weaker label",
    )
    for kind in ("external", "shared", "late"):
        yield Row(what=f"of them {kind}", value=counts[kind])
    strangers = counts["strangers"]
    yield Row(what="owners that never wrote the file", value=strangers, at_most=came_late)


def _judge(
    recorder: Recorder, hunk: dict[str, Any], status: dict[str, Any], counts: Counter[str]
) -> None:
    file = recorder.files.get(hunk["path"])
    if file is None or file.pair is not None:
        return
    wrote = _tokens_of(hunk, file.disk, status)
    shared = 0
    for owner in hunk["owners"]:
        lines = owner["lines"]["added"]
        counts["lines"] += lines
        if owner["kind"] == "agent":
            counts["late"] += lines if owner["evidence"] == "late" else 0
            extra = max(lines - wrote[owner["session"]], 0)
            if extra:
                recorder.remarks.append(
                    f"{hunk['path']} hunk {hunk['id']}: {lines} lines of {owner['session']} by "
                    f"{owner['tool']} ({owner['evidence']}), who wrote {wrote[owner['session']]} "
                    f"of {dict(wrote)}; {file.story()}"
                )
            counts["wrong"] += extra
            if owner["session"] not in file.writers:
                counts["strangers"] += 1
                recorder.remarks.append(f"{hunk['path']}: {owner['session']} never wrote it")
        elif owner["kind"] == "shared":
            shared += lines
            if not set(owner.get("among", ())) & file.writers:
                counts["strangers"] += 1
                recorder.remarks.append(f"{hunk['path']}: none of {owner.get('among')} wrote it")
        elif owner["kind"] == "external":
            counts["external"] += lines
    counts["shared"] += shared


def _tokens_of(hunk: dict[str, Any], disk: Content, status: dict[str, Any]) -> Counter[str]:
    """Returns how many lines of a hunk each session wrote, as the lines themselves say."""
    for file in status["files"]:
        for one in file["hunks"] if file["path"] == hunk["path"] else ():
            if one["id"] == hunk["id"]:
                lines = (disk.data or b"").splitlines()
                if one["kind"] == "text":
                    start = one["new_start"] - 1
                    lines = lines[start : start + one["new_lines"]]
                return tokens(lines)
    return Counter()


def _decide_all(made: Machine, recorder: Recorder, client: Client) -> Iterator[Row]:
    """Yields what reject-all, its undo and accept-all do."""
    root = str(made.root)
    everything = {"all": True, "external": True}
    before = snapshot(recorder.everything())
    answer = client.call("decide", workspace=root, op="reject", selection=everything)
    late = {one["path"] for one in answer["refused"] if "uncertain" in one["reason"]}
    for refused in answer["refused"]:
        if refused["path"] not in late:
            recorder.problem(f"reject-all refused {refused}")
    # A rename is decided as a whole.
    late |= {file.pair.path for file, *_ in before if file.path in late and file.pair}
    recorder.rejected(one[0] for one in before if one[0].path not in late)
    wrong = _wrong_on_disk(recorder, "after reject-all")
    yield Row(what="wrong after reject-all", value=wrong, at_most=0)
    yield Row(what="wrong in the whole tree, by git", value=_git_differs(made, recorder), at_most=0)
    client.call("undo", workspace=root)
    go_back(before, "undo")
    yield Row(what="wrong after its undo", value=_wrong_on_disk(recorder, "after undo"), at_most=0)
    client.call("decide", workspace=root, op="accept", selection=everything)
    left = len(ask(client, "status", workspace=root)["files"])
    wrong = _wrong_on_disk(recorder, "after accept-all")
    yield Row(what="wrong or pending after accept-all", value=wrong + left, at_most=0)


def _git_differs(made: Machine, recorder: Recorder) -> int:
    """Compares what git finds changed in the whole tree with what the recorder expects there."""
    told = made.git("status", "--porcelain", "-z", "-uall").decode().split("\0")
    found = {line[3:] for line in told if line}
    expected = {file.path for file in recorder.everything() if file.disk != file.committed}
    for path in sorted(found ^ expected)[:20]:
        recorder.problem(f"git says otherwise of {path} ({path in found})")
    return len(found ^ expected)


# --- numbers -------------------------------------------------------------------------------------


def resource_rows(samples: Sequence[Sample], calls: int, budget_mib: float) -> Iterator[Row]:
    """Yields memory, descriptors and store; the first fifth of the time counts as warming up.

    A call stays in the log that `agentdiff log` shows, and a decision can be undone, so that memory
    grows with calls (3.2 KiB for each, measured in the ledger alone); what is limited is how much
    for each, over the last two thirds.  What pends is in memory as well, and memory that was needed
    once is not given back: the most that pended so far is no growth.
    """
    if len(samples) < 10:
        yield Row(what="samples of the daemon", value=len(samples), at_least=10)
        return
    later = samples[len(samples) // 3 :]
    yield Row(what="memory, at most", value=max(one.rss_mib for one in samples), unit="MiB")
    most = list(itertools.accumulate((one.pending for one in samples), max))[-len(later) :]
    rest = [one.rss_mib - n * PENDING_FILE_KIB / 1024 for one, n in zip(later, most, strict=True)]
    slope = statistics.linear_regression([one.at_s for one in later], rest).slope
    seconds = samples[-1].at_s - samples[0].at_s
    each_kib = slope * 1024 * seconds / max(calls, 1)
    yield Row(
        what="memory, growth per call",
        value=each_kib,
        at_most=RSS_GROWTH_KIB_PER_CALL if calls >= _JUDGED_FROM_CALLS else None,
        unit="KiB",
        note=f"{later[0].rss_mib:.0f} MiB after a third, {later[-1].rss_mib:.0f} at the end; "
        f"at most {most[0]:,} and {most[-1]:,} files pended, {PENDING_FILE_KIB} KiB each",
    )
    files = [one.open_files for one in samples]
    early = max(files[: len(files) // 3])
    yield Row(
        what="open files, at most",
        value=max(files),
        at_most=early + FILES_GROWTH,
        note=f"at most {early} in the first third; {samples[-1].threads} threads at the end",
    )
    yield Row(what="store, at the end", value=samples[-1].blob_mib, at_most=budget_mib, unit="MiB")
    yield Row(what="queue, at most", value=max(one.queue for one in samples), unit="jobs")
    yield Row(what="pending files, at most", value=max(one.pending for one in samples))


Probed = Sequence[tuple[float, float, float]]


def latency_rows(
    probed: Probed, idle: tuple[float, float], busy: tuple[float, float]
) -> Iterator[Row]:
    """Yields H3: the 99th percentile of a hook while busy, against the median while idle.

    Ten agents, five editors and this recorder share the machine with the daemon, and perhaps other
    people's work does.  The same client, served by a responder that does nothing, is timed in
    turns with it: where that one alone is beyond half of the limit, twice its ratio is the limit.
    """
    quiet = [one for one in probed if idle[0] <= one[0] < idle[1]]
    loaded = [one for one in probed if busy[0] <= one[0] < busy[1]]
    if len(quiet) < 20 or len(loaded) < 20:
        yield Row(what="hooks timed", value=min(len(quiet), len(loaded)), at_least=20)
        return
    ratios = []
    for column, what in ((1, "a hook"), (2, "the same, served by nobody")):
        median = statistics.median(one[column] for one in quiet)
        p99 = statistics.quantiles([one[column] for one in loaded], n=100)[-1]
        ratios.append(p99 / median)
        now = statistics.median(one[column] for one in loaded)
        note = f"median idle {median * 1e3:.2f} ms, busy {now * 1e3:.2f} ms; {len(loaded)} timed"
        yield Row(what=f"{what}, busy p99", value=p99 * 1e3, unit="ms", note=note)
    ratio, machine = ratios
    yield Row(
        what="H3: a hook, busy p99 / idle median",
        value=ratio,
        at_most=max(H3_AT_MOST, 2 * machine),
        unit="x",
        note=f"served by nobody: {machine:.3g}x",
    )


def log_rows(made: Machine, recorder: Recorder) -> Iterator[Row]:
    """Yields what the daemon's log complains about."""
    records = made.log()
    levels = Counter(record["level"] for record in records)
    for record in records:
        if record["level"] in ("error", "critical"):
            recorder.problem(f"log: {record}")
    bad = levels["error"] + levels["critical"]
    yield Row(what="errors in the daemon's log", value=bad, at_most=0)
    kinds = Counter(r["event"] for r in records if r["level"] == "warning")
    named = ", ".join(f"{count} {event}" for event, count in kinds.most_common(5))
    yield Row(what="warnings in the daemon's log", value=levels["warning"], note=named)


def daemon_rows(
    client: Client, root: str, recorder: Recorder, sent: int, problems: Counter[str]
) -> Iterator[Row]:
    """Yields whether every hook arrived, every call is in the log, and nothing was dropped."""
    told = client.call("daemon.status")["metrics"]
    hooks = told["hooks"]
    arrived = hooks["received"] + hooks["replayed"]
    yield Row(what="hooks sent", value=sent)
    yield Row(what="hooks that did not arrive", value=abs(sent - arrived), at_most=0)
    bad = hooks["malformed"] + hooks["lost"] + hooks["failed"] + hooks["refused"]
    yield Row(what="hooks malformed, lost or failed", value=bad, at_most=0)
    yield Row(what="baselines that came late", value=hooks["uncertain"])
    waited = told["hook_latency"]
    yield Row(
        what="inside the daemon, a hook's p99",
        value=waited["p99_ms"],
        unit="ms",
        note=f"median {waited['p50_ms']} ms, at most {waited['max_ms']} ms; the newest 1024",
    )
    yield Row(what="the daemon's computing time", value=told["process"]["cpu_s"], unit="s")
    yield Row(what="events that could not be handled", value=told["queue"]["failed"], at_most=0)
    spool = told["spool"]
    yield Row(what="hooks in the spool", value=spool["waiting"] + spool["set_aside"], at_most=0)
    yield Row(what="telemetry dropped", value=told["telemetry"]["dropped"])
    yield Row(what="status not answered", value=sum(problems.values()), at_most=0)
    logged = {
        (call["session"], call["tool_call"]) for call in client.call("log", workspace=root)["calls"]
    }
    missing = recorder.calls - logged
    for session, call in sorted(missing)[:20]:
        recorder.problem(f"call {call} of {session} is not in the log")
    yield Row(what="calls that are not in the log", value=len(missing), at_most=0)
