"""What the command trace decides without running anything: read-only, secret, refused, shimmed."""

from __future__ import annotations

import re

import pytest

from agentdiff.sources.trace import builtins, folder
from agentdiff.sources.trace.classify import can_write
from agentdiff.sources.trace.redact import redacted
from agentdiff.sources.trace.rules import Rule, first_match


@pytest.mark.parametrize(
    "line",
    [
        "git status",
        "git -C /elsewhere log --oneline",
        "git --no-pager diff HEAD",
        "git",
        "jq .",
        "curl -sS http://localhost/",
        "curl --version",
        "npm ls",
        "python3 --version",
        "make --version",
        "git help",
        "rm --help",
        "go version",
        "tar tzf a.tgz",
        "tar -tf a.tar",
        "tar --list --file=a.tar",
        "tar tvf a.tar -C sub",
        "unzip -l a.zip",
        "unzip -Z1 a.zip",
        "kubectl get pods",
        "kubectl get pods -n default -o yaml",
        "docker ps -a",
        "docker logs --tail=5 it",
        "npm view left-pad version --json",
        "pip list --outdated",
        "curl -sSfL -HAccept:x -X POST -d @f http://localhost/",
        "curl --silent --max-time 3 http://localhost/",
        "git grep -n -e O",
        "git diff --oneline -O order",
        "uniq -c in",
        "file -b x",
    ],
)
def test_reading_needs_no_cut(line: str) -> None:
    """A command that surely changes nothing costs no baseline."""
    tool, *words = line.split()
    assert not can_write(tool, words, to_file=False)
    assert can_write(tool, words, to_file=True)


@pytest.mark.parametrize(
    "line",
    [
        "git mv a b",
        "git checkout -- .",
        "git diff --output=x",
        "git -c alias.status=!rm status",
        "git st",
        "python3 -c pass",
        "python3",
        "npm init -y",
        "curl -o x http://localhost/",
        "curl -sSLO http://localhost/x",
        "curl --output=x http://localhost/",
        "tar xzf a.tgz",
        "tar --extract --file t.tar",
        "unzip a.zip",
        "make",
        "make -n all",  # also then recipes with a "+" run
        "make -v",  # of BSD: verbose
        "make version",
        "make help",
        "python version",
        "python3 help",
        "node -e 1",
        "node version",
        "bun help",
        "rm version",
        "touch help",
        "mkdir -h",
        "mine --version",
        "tar --delete -f a.tar x",
        "tar --get -f a.tar",
        "tar --extract -f a.tar",
        "tar -tf a.tar --checkpoint-action=exec=x",
        "tar tf a.tar --to-command=x",
        "tar",
        "cargo metadata",
        "cargo tree",
        "cargo pkgid",
        "go list ./...",
        "go env -w A=b",
        "uniq in out",
        "uniq -c in out",
        "uniq -- in -out",
        "uniq - out",
        "file -C -m magic",
        "file --comp -m magic",
        "git grep -O x",
        "git grep -nOvi x",
        "git grep --open-files-in-pager=vi x",
        "git log --outp=x",
        "git ls-remote --upload-pack=x .",
        "git --config-env=diff.external=X diff",
        "kubectl cluster-info dump --output-directory=x",
        "kubectl get pods --profile=cpu",
        "kubectl get pods --cache-dir x",
        "npm view left-pad --cache x",
        "pip list --log x",
        "pnpm ls",
        "unzip -l --l a.zip",
        "curl -w %output{x} http://localhost/",
        "curl -T a file:///b",
        "curl --outp x http://localhost/",
        "curl --expand-output x http://localhost/",
        "anything at all",
    ],
)
def test_everything_else_can_write(line: str) -> None:
    """What is not known to read only is cut before."""
    tool, *words = line.split()
    assert can_write(tool, words, to_file=False)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["push", "--token=abc"], ("push", "--token=***")),
        (["--password", "hunter2", "x"], ("--password", "***", "x")),
        (["-u", "me:pw", "http://h/"], ("-u", "***", "http://h/")),
        (["https://me:pw@host/x"], ("https://***@host/x",)),
        (["-H", "Authorization: Bearer abc.def"], ("-H", "Authorization: ***")),
        (["-e", "API_KEY=abc"], ("-e", "API_KEY=***")),
        (["-c", "export GH_TOKEN=abc; ls"], ("-c", "export GH_TOKEN=***; ls")),
        (["sk-ant-0123456789abcdef"], ("***",)),
        (["ghp_0123456789abcdefABCD"], ("***",)),
        (["custom-77"], ("***",)),
        (["-sume:pw", "-sb", "a=b", "http://h/"], ("-su***", "-sb", "***", "http://h/")),
        (["-d", '{"password": "two words", "a": 1}'], ("-d", '{"password": "***", "a": 1}')),
        (["-c", "set x.password='two words' y"], ("-c", "set x.password='***' y")),
        (["x({'Authorization': 'Bearer abc'})"], ("x({'Authorization': '***'})",)),
        (['"{\\"token\\": \\"abc\\"}"'], ('"{\\"token\\": \\"***"',)),
        (
            ["DB_PASS=x", "bypass=1", "AWS_ACCESS_KEY_ID=x"],
            ("DB_PASS=***", "bypass=1", "AWS_ACCESS_KEY_ID=***"),
        ),
        (["-----BEGIN RSA PRIVATE KEY-----\nabc\n"], ("-----BEGIN RSA PRIVATE KEY-----***",)),
        (["status", "--short", "a=b", "--author=me"], ("status", "--short", "a=b", "--author=me")),
    ],
)
def test_secrets_are_masked(given: list[str], kept: tuple[str, ...]) -> None:
    """What looks like a secret is not written down; the rest is."""
    assert redacted("curl", given, [re.compile("custom-[0-9]+")]) == kept


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("npm config set //registry/:_authToken abc", "npm config set //registry/:_authToken ***"),
        ("git config --global github.token abc", "git config --global github.token ***"),
        ("git commit -m token abc", "git commit -m token abc"),
        ("docker login -u me -p abc", "docker login -u me -p ***"),
        ("docker run -p 80:80 x", "docker run -p 80:80 x"),
        ("make -b abc", "make -b abc"),
    ],
)
def test_some_words_mean_a_secret_to_one_program_only(line: str, kept: str) -> None:
    """The program decides."""
    tool, *words = line.split()
    assert [tool, *redacted(tool, words)] == kept.split()


def test_the_first_rule_that_matches_counts() -> None:
    """Patterns are for the whole command line; without rules nothing is refused."""
    rules = (
        Rule(command="git push --dry-run*", action="dry-run"),
        Rule(command="git push*", action="deny"),
    )
    assert first_match((), "git", ["push"]) is None
    assert first_match(rules, "git", ["push", "--dry-run", "origin"]) is rules[0]
    assert first_match(rules, "git", ["push", "origin"]) is rules[1]
    assert first_match(rules, "git", ["pull"]) is None


@pytest.mark.parametrize("name", ["sh", "bash", "zsh", "fish", "dash", "", ".", "..", "a/b"])
def test_a_shell_never_gets_a_launcher(name: str) -> None:
    """Neither a shell nor a path."""
    assert not folder.acceptable(name)


def test_the_default_list() -> None:
    """What doc/trace.md promises; core utilities only when they are asked for."""
    names = (
        "git npm npx node pnpm bun python python3 pip pip3 jq curl wget tar unzip make go cargo "
        "deno docker kubectl"
    )
    assert tuple(names.split()) == folder.DEFAULT
    assert not set(folder.DEFAULT) & set(folder.CORE_UTILITIES)


def test_no_default_is_a_shell() -> None:
    """The default lists keep the rule too."""
    assert all(map(folder.acceptable, (*folder.DEFAULT, *folder.CORE_UTILITIES)))


def test_a_path_has_each_folder_once() -> None:
    """In order; what is left out is left out however it is spelled."""
    assert folder.unique("/a:/b:/a::/c/:/b", without=["/c"]) == "/a:/b:"


def test_builtins_are_read_without_values() -> None:
    """Only built-ins, and of variables only the names."""
    lines = [
        "+\x1f7\x1f/w\x1fcd sub",
        "++\x1f7\x1f/w/sub\x1fexport TOKEN=abc PLAIN",
        "+\x1f7\x1f/w\x1fgit status",
        "no xtrace",
        "+\x1f7\x1f/w\x1fcd 'unclosed",
    ]
    assert list(builtins.parse("\n".join(lines))) == [
        (7, "/w", ("cd", "sub")),
        (7, "/w/sub", ("export", "TOKEN", "PLAIN")),
    ]
