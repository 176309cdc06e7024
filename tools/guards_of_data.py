"""More guards for `tools/mutants.py`: hostile repositories, and what keeps people's work.

Owns the second half of the list (`tools/guards.py` has the first).
"""

from __future__ import annotations

from guards import CORE, FILES, HOSTILE, REPOSITORY, SRC, Guard

GUARDS_OF_DATA = (
    # --- a repository that somebody else wrote ----------------------------------------------------
    Guard(
        file=SRC + "workspace/git.py",
        text='b"-c", b"core.fsmonitor=false", ',
        without="",
        test=REPOSITORY + "test_even_git_that_refreshes_runs_nothing",
    ),
    Guard(
        file=SRC + "workspace/git.py",
        text=', b"-c", b"core.hooksPath=/dev/null")',
        without=")",
        test=REPOSITORY + "test_even_git_that_refreshes_runs_nothing",
    ),
    Guard(
        file=SRC + "workspace/git.py",
        text="""        b"GIT_ALLOW_PROTOCOL": b"none",
        b"GIT_NO_LAZY_FETCH": b"1",  # git 2.45; it does not even start to fetch
""",
        without="",
        test=REPOSITORY + "test_what_is_missing_is_not_fetched",
    ),
    Guard(
        file=SRC + "workspace/git.py",
        text="    if any(is_special(",
        without="    if False and any(is_special(",
        test=HOSTILE + "test_git_is_not_asked_where_it_would_wait",
    ),
    Guard(
        file=SRC + "workspace/ignore.py",
        text="futures.wait([self._answer], _GIT_ANSWERS_WITHIN_S)",
        without="futures.wait([self._answer])",
        test=HOSTILE + "test_nobody_waits_for_git_for_ever",
    ),
    Guard(
        file=SRC + "workspace/plain.py",
        text="""    if not stat.S_ISREG(status.st_mode):
        raise""",
        without="""    if False:
        raise""",
        test=HOSTILE + "test_only_regular_files_are_opened",
    ),
    Guard(
        file=SRC + "workspace/head.py",
        text="if not (_ID.fullmatch(old) and _ID.fullmatch(new)):",
        without="if False:",
        test=REPOSITORY + "test_a_reflog_cannot_give_git_an_option",
    ),
    Guard(
        file=SRC + "workspace/head.py",
        text=' and b"\\0" not in said\n    return',
        without="\n    return",
        test=REPOSITORY + "test_a_file_named_git_leads_nowhere",
    ),
    Guard(
        file=SRC + "workspace/gitpacks.py",
        text="            left -= size\n            if left < 0:\n",
        without="            if False:\n",
        test=HOSTILE + "test_an_object_of_all_memory_is_not_unpacked",
    ),
    Guard(
        file=SRC + "workspace/gitpacks.py",
        text="if made > size:",
        without="if False:",
        test=HOSTILE + "test_a_delta_makes_no_more_than_it_says",
    ),
    Guard(
        file=SRC + "workspace/gitpacks.py",
        text="if any(a > b for a, b in pairwise(self._fanout)):",
        without="if False:",
        test=HOSTILE + "test_an_index_that_is_none_is_not_used",
    ),
    Guard(
        file=SRC + "workspace/gitpacks.py",
        text="while shift < 64:",
        without="while True:",
        test=HOSTILE + "test_numbers_have_an_end",
    ),
    Guard(
        file=SRC + "workspace/gitindex.py",
        text="if value >> 32:",
        without="if False:",
        test=HOSTILE + "test_numbers_have_an_end",
    ),
    Guard(
        file=SRC + "workspace/gitindex.py",
        text="if len(path) > _MAX_PATH:",
        without="if False:",
        test=HOSTILE + "test_paths_of_an_index_do_not_grow_without_end",
    ),
    Guard(
        file=SRC + "workspace/gitpacks.py",
        text="return data if kind == _BLOB and git_blob_oid(data) == key.hex() else None",
        without="return data if kind == _BLOB else None",
        test="tests/fuzz/test_fuzz.py::test_spoilt_inputs[git-packs]",
    ),
    Guard(
        file=SRC + "workspace/patterns.py",
        text="after = linear(before)",
        without="after = before",
        test="tests/unit/workspace/test_patterns.py::test_a_pattern_of_many_stars_is_answered",
    ),
    # --- people's work ----------------------------------------------------------------------------
    Guard(
        file=SRC + "workspace/files.py",
        text="""    held = wait_for_writers(fd, temp)
    out = _read(fd, temp)
    if out == expect and discard(fd, temp):
        return Written(weak=held)
    back""",
        without="""    held = wait_for_writers(fd, temp)
    out = _read(fd, temp)
    if discard(fd, temp):
        return Written(weak=held)
    back""",
        test="tests/unit/workspace/test_files_race.py::test_no_unseen_write_is_lost",
    ),
    Guard(
        file=SRC + "workspace/files.py",
        text="""    if found != expect:
        return Changed(found=found)
    if expect == write:""",
        without="    if expect == write:",
        test=FILES + "test_leaves_what_was_not_expected",
    ),
    Guard(
        file=SRC + "workspace/files.py",
        text="if not root.refresh():",
        without="if False:",
        test=FILES + "test_nothing_is_written_into_a_root_that_was_moved_away",
    ),
    Guard(
        file=SRC + "workspace/folders.py",
        text="os.mkdir(name, _like(write), dir_fd=fd)",
        without="os.mkdir(name, dir_fd=fd)",
        test=FILES + "test_an_unknown_parent_is_as_closed_as_what_is_written",
    ),
    Guard(
        file=SRC + "workspace/files.py",
        text="        if _hard_linked(fd, name):\n",
        without="        if False:\n",
        test=FILES + "test_a_hard_linked_file_keeps_its_other_name",
    ),
    Guard(
        file=SRC + "core/decisions.py",
        text="if pick.gen is not None and pick.gen != gen:",
        without="if False:",
        test=CORE + "test_decisions.py::test_a_hunk_that_changed_since_it_was_shown_is_refused",
    ),
    Guard(
        file=SRC + "core/decisions.py",
        text="any(changed_since(p, selection.seen) for p in both)",
        without="False",
        test=CORE + "test_decisions.py::test_a_path_that_moved_on_stays_pending",
    ),
    Guard(
        file=SRC + "core/decisions.py",
        text='        if state.coverage != "exact":\n',
        without="        if False:\n",
        test=CORE + "test_decisions.py::test_a_reject_without_a_base_is_refused",
    ),
    Guard(
        file=SRC + "core/decisions.py",
        text='if event.op == "reject" and not all(selection.covers(owner) for owner in owners):',
        without="if False:",
        test=CORE + "test_decisions.py::test_entangled_lines_are_refused_for_one_owner",
    ),
    Guard(
        file=SRC + "core/observer.py",
        text="return own is not None and seen_ns < own.at_ns and seen == own.replaced",
        without="return False",
        test=CORE + "test_timing.py::test_a_reading_of_what_we_replaced_is_history",
    ),
    Guard(
        file=SRC + "core/execution.py",
        text="commit(intended, entries=_entries(planned), durable=True)",
        without="commit(intended, entries=_entries(planned))",
        test=CORE + "test_execution.py::test_the_intent_is_synced_before_the_first_write",
    ),
    Guard(
        file=SRC + "workspace/upkeep.py",
        text="needed = {bytes.fromhex(oid) for oid in pending if oid}",
        without="needed = set[bytes]()",
        test="tests/unit/workspace/test_upkeep.py::test_what_pends_may_exceed_the_budget_and_it_is_said",
    ),
    Guard(
        file=SRC + "core/turning.py",
        text="if not (same_state(current, item.before) and is_unmoved(item)):",
        without="if False:",
        test=CORE + "test_turning.py::test_an_undo_leaves_what_somebody_else_accepted",
    ),
    Guard(
        file=SRC + "workspace/blobs.py",
        text="os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)",
        without="os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)",
        test="tests/security/test_users.py::test_everything_kept_is_private",
    ),
    Guard(
        file=SRC + "daemon/lifecycle.py",
        text="    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)\n\n\ndef last_holder",
        without="\n\ndef last_holder",
        test="tests/unit/daemon/test_daemon_process.py::test_a_second_daemon_is_turned_away",
    ),
)
