"""The guards that `tools/mutants.py` removes one by one, each with the test that must notice.

Owns the list.  A guard is a piece of source as it stands there, exactly once, and what it becomes
when it is not there; ``doc/security.md`` says what it is against.
"""

from __future__ import annotations

from dataclasses import dataclass

USERS = "tests/security/test_users.py::"
HTTP = "tests/security/test_http.py::"
PATHS = "tests/security/test_paths.py::"
REPOSITORY = "tests/security/test_repository.py::"
DISPLAY = "tests/security/test_display.py::"
SECRETS = "tests/security/test_secrets.py::"
HOSTILE = "tests/unit/workspace/test_hostile.py::"
FILES = "tests/unit/workspace/test_files.py::"
NVIM = "tests/nvim/test_attacks.py::"
CORE = "tests/unit/core/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """One guard.

    Attributes:
        file: relative to the checkout.
        text: what stands there, exactly once.
        without: what stands there when the guard is gone; still a program.
        test: the pytest node that must fail then.
        root: whether the test needs root, to become another user.
    """

    file: str
    text: str
    without: str
    test: str
    root: bool = False


SRC = "src/agentdiff/"

GUARDS = (
    # --- another user of the machine --------------------------------------------------------------
    Guard(
        file=SRC + "daemon/server.py",
        text='if not sockets.is_owner(transport.get_extra_info("socket")):',
        without="if False:",
        test=USERS + "test_another_user_is_not_greeted",
        root=True,
    ),
    Guard(
        file=SRC + "sources/hooks.py",
        text="if not sockets.is_owner(connection):",
        without="if False:",
        test=USERS + "test_another_users_hook_is_not_taken",
        root=True,
    ),
    Guard(
        file=SRC + "daemon/sockets.py",
        text="        os.chmod(raw, 0o600)\n",
        without="",
        test=USERS + "test_everything_kept_is_private",
    ),
    Guard(
        file=SRC + "daemon/sockets.py",
        text="return is_owner(probe)",
        without="return True",
        test=USERS + "test_another_users_daemon_is_not_used",
        root=True,
    ),
    Guard(
        file=SRC + "locations.py",
        text="            folder.chmod(0o700)\n",
        without="            folder.chmod(0o755)\n",
        test=USERS + "test_everything_kept_is_private",
    ),
    Guard(
        file=SRC + "locations.py",
        text="if owner != os.getuid():",
        without="if False:",
        test=USERS + "test_another_users_daemon_is_not_used",
        root=True,
    ),
    Guard(
        file=SRC + "daemon/log.py",
        text="flags | os.O_CLOEXEC, 0o600)",
        without="flags | os.O_CLOEXEC, 0o666)",
        test=USERS + "test_everything_kept_is_private",
    ),
    Guard(
        file=SRC + "daemon/lifecycle.py",
        text="os.O_EXCL | os.O_CLOEXEC, 0o600)",
        without="os.O_EXCL | os.O_CLOEXEC, 0o666)",
        test=USERS + "test_everything_kept_is_private",
    ),
    Guard(
        file=SRC + "workspace/store.py",
        text="        self.path.chmod(0o600)\n",
        without="",
        test=USERS + "test_everything_kept_is_private",
    ),
    Guard(
        file=SRC + "sources/hook_client.c",
        text="if (!is_ours(daemon_fd)) return 0;",
        without="",
        test=USERS + "test_another_users_daemon_hears_no_hook[hook_client.c]",
        root=True,
    ),
    Guard(
        file=SRC + "sources/hook_client.pl",
        text="return if $peer[1] != $> && $peer[1] != 0;",
        without="",
        test=USERS + "test_another_users_daemon_hears_no_hook[hook_client.pl]",
        root=True,
    ),
    Guard(
        file=SRC + "sources/hook_client.py",
        text="if not is_ours(daemon):",
        without="if False:",
        test=USERS + "test_another_users_daemon_hears_no_hook[hook_client.py]",
        root=True,
    ),
    Guard(
        file=SRC + "cli/hook.py",
        text="if not sockets.is_owner(connection):",
        without="if False:",
        test=USERS + "test_the_way_out_of_the_hook_clients_tells_nobody",
        root=True,
    ),
    Guard(
        file=SRC + "daemon/launch.py",
        text='if name in _KEPT_VARIABLES or name.startswith("XDG_")',
        without="",
        test="tests/unit/daemon/test_daemon_process.py::test_environment_of_the_daemon_is_reduced",
    ),
    # --- a web page, or another program, at the loopback port -------------------------------------
    Guard(
        file=SRC + "sources/otlp.py",
        text='if not hmac.compare_digest(headers.get(TOKEN_HEADER, b""), self._token):',
        without="if False:",
        test=HTTP + "test_without_the_token_nothing_is_taken",
    ),
    Guard(
        file=SRC + "sources/otlp.py",
        text='if not hmac.compare_digest(headers.get(TOKEN_HEADER, b""), self._token):',
        without='if headers.get(TOKEN_HEADER, b"") != self._token:',
        test=HTTP + "test_the_token_is_compared_in_constant_time",
    ),
    Guard(
        file=SRC + "sources/otlp.py",
        text='not is_local(headers.get(b"host", b"")) or ',
        without="",
        test=HTTP + "test_a_rebound_name_is_turned_away",
    ),
    Guard(
        file=SRC + "sources/otlp.py",
        text=' or b"origin" in headers',
        without="",
        test=HTTP + "test_a_page_is_turned_away",
    ),
    Guard(
        file=SRC + "sources/otlp.py",
        text='HOST = "127.0.0.1"',
        without='HOST = "0.0.0.0"',
        test=HTTP + "test_only_the_loopback_address_is_bound",
    ),
    Guard(
        file=SRC + "sources/otlp.py",
        text='if method != b"POST":',
        without="if False:",
        test=HTTP + "test_nothing_is_given_out",
    ),
    Guard(
        file=SRC + "sources/otlp.py",
        text='if int(headers.get(b"content-length", b"0")) > MAX_BODY_BYTES:',
        without="if False:",
        test=HTTP + "test_oversized_requests_are_refused",
    ),
    Guard(
        file=SRC + "sources/otlp.py",
        text="        raise OverflowError\n",
        without="        pass\n",
        test=HTTP + "test_oversized_requests_are_refused",
    ),
    Guard(
        file=SRC + "sources/otlp.py",
        text="if len(request.body) > MAX_BODY_BYTES:",
        without="if False:",
        test="tests/unit/sources/test_otlp.py::test_body_that_grows_over_the_limit_is_refused",
    ),
    Guard(
        file=SRC + "sources/otlp.py",
        text="self._request.head_bytes > MAX_HEADERS_BYTES and not self._deaf",
        without="False",
        test=HTTP + "test_oversized_requests_are_refused",
    ),
    # --- what an agent says: paths ----------------------------------------------------------------
    Guard(
        file=SRC + "workspace/roots.py",
        text="return inside if inside and inside != real else None",
        without="return inside or None",
        test="tests/unit/workspace/test_roots.py::test_confines_announced_paths",
    ),
    Guard(
        file=SRC + "daemon/router.py",
        text="os.path.join(os.path.realpath(parent), name)",
        without="path",
        test="tests/unit/daemon/test_restarts.py::"
        "test_a_path_through_a_linked_folder_is_where_it_leads",
    ),
    Guard(
        file=SRC + "sources/editor.py",
        text='if relative == b".." or relative.startswith(b"../"):',
        without="if False:",
        test=PATHS + "test_a_decision_cannot_name_what_is_outside",
    ),
    Guard(
        file=SRC + "workspace/tree.py",
        text="""    | os.O_DIRECTORY
    | os.O_NOFOLLOW
    | os.O_CLOEXEC
)
""",
        without="    | os.O_DIRECTORY\n    | os.O_CLOEXEC\n)\n",
        test=FILES + "test_a_linked_parent_is_refused",
    ),
    Guard(
        file=SRC + "workspace/tree.py",
        text="""    | os.O_DIRECTORY
    | os.O_NOFOLLOW
    | os.O_CLOEXEC
)
""",
        without="    | os.O_DIRECTORY\n    | os.O_CLOEXEC\n)\n",
        test=PATHS + "test_a_parent_that_is_swapped_all_the_time",
    ),
    Guard(
        file=SRC + "workspace/tree.py",
        text='if b"\\0" in path or any(part in (b"", b".", b"..") for part in parts):',
        without="if False:",
        test=FILES + "test_unclean_paths_are_a_mistake_of_the_caller",
    ),
    Guard(
        file=SRC + "workspace/tree.py",
        text='    if signature.kind == "file":\n',
        without='    if signature.kind in ("file", "other"):\n',
        test=FILES + "test_reads_fifo_socket_and_device_without_opening_them",
    ),
    Guard(
        file=SRC + "targets/apply_patch.py",
        text='if path is None or b"\\0" in path + (move_to or b""):',
        without="if path is None:",
        test="tests/fuzz/test_fuzz.py::test_right_and_kept_inputs[hook-opencode]",
    ),
    # --- what an agent says: sizes ----------------------------------------------------------------
    Guard(
        file=SRC + "agents/fields.py",
        text="if not _shallow(value):",
        without="if False:",
        test="tests/unit/agents/test_fields.py::test_what_is_no_plain_json_object_is_refused",
    ),
    Guard(
        file=SRC + "sources/hooks.py",
        text="    if size > MAX_PAYLOAD_BYTES:\n",
        without="    if False:\n",
        test="tests/unit/sources/test_hooks.py::test_too_large_payload_is_refused",
    ),
    Guard(
        file=SRC + "wire.py",
        text="if size > self.limit_bytes:",
        without="if False:",
        test=SECRETS + "test_an_endless_line_ends_the_connection",
    ),
    Guard(
        file=SRC + "sources/trace/redact.py",
        text="return found is not None and _WORD.search(found[group]) is not None",
        without="return False",
        test="tests/unit/sources/test_trace_rules.py::test_secrets_are_masked",
    ),
    # --- names and prompts on a screen ------------------------------------------------------------
    Guard(
        file=SRC + "cli/output.py",
        text='if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):',
        without="if False:",
        test=DISPLAY + "test_the_command_line_shows_names_and_prompts_as_they_are",
    ),
    Guard(
        file=SRC + "cli/output.py",
        text="    if not sys.stdout.isatty():\n        say_bytes(data)",
        without="    if True:\n        say_bytes(data)",
        test=DISPLAY + "test_a_diff_on_a_terminal_does_nothing_to_it",
    ),
    Guard(
        file=SRC + "core/grouping.py",
        text='return "".join(char if char.isprintable() else " " for char in text)',
        without="return text",
        test=DISPLAY + "test_what_an_editor_draws_has_one_line_for_each",
    ),
    Guard(
        file="lua/agentdiff/report.lua",
        text="vim.tbl_map(M.one_line, lines)",
        without="lines",
        test=NVIM + "test_names_and_prompts_are_only_shown",
    ),
    Guard(
        file="lua/agentdiff/panes.lua",
        text=":gsub('%%', '%%%%')",
        without="",
        test=NVIM + "test_names_and_prompts_are_only_shown",
    ),
    Guard(
        file="lua/agentdiff/arguments.lua",
        text="local name, problem, pattern = expand(given)",
        without="local name, problem, pattern = vim.fn.expandcmd(given), nil, false",
        test=NVIM + "test_no_name_is_run_when_it_is_typed_or_completed",
    ),
    Guard(
        file="lua/agentdiff/arguments.lua",
        text="local name = expand(words(typed)[1] or '')",
        without="local name = vim.fn.expandcmd(words(typed)[1] or '')",
        test=NVIM + "test_no_name_is_run_when_it_is_typed_or_completed",
    ),
    Guard(
        file="lua/agentdiff/windows.lua",
        text="vim.fn.fnameescape(path)",
        without="path",
        test=NVIM + "test_a_hostile_name_is_opened_and_decided",
    ),
    Guard(
        file="lua/agentdiff/review.lua",
        text="local buf = api.nvim_create_buf(false, true)",  # a scratch buffer has no modelines
        without="local buf = api.nvim_create_buf(false, false)",
        test=NVIM + "test_no_modeline_of_a_file_counts_in_our_buffers",
    ),
    Guard(
        file="lua/agentdiff/baseline.lua",
        text="local buf = api.nvim_create_buf(false, true)",
        without="local buf = api.nvim_create_buf(false, false)",
        test=NVIM + "test_no_modeline_of_a_file_counts_in_our_buffers",
    ),
    Guard(
        file="lua/agentdiff/report.lua",
        text="local buf = vim.api.nvim_create_buf(false, true)",
        without="local buf = vim.api.nvim_create_buf(false, false)",
        test=NVIM + "test_no_modeline_of_a_file_counts_in_our_buffers",
    ),
)
