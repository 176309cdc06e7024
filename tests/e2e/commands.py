"""Command lines for the comparison with bash: seeded, harmless, and only about a small tree.

Owns the generator: `generate` returns a command line that any shell may run in an empty folder
with the files of `TREE`.
"""

from __future__ import annotations

import random

TREE = ("a.txt", "b c.txt", "d/e.txt", "d/f/g.txt", "q.txt")
PATHS = (
    "a.txt",
    "'b c.txt'",
    "d/e.txt",
    '"d/f/g.txt"',
    "new",
    "d/new",
    "./d/../q.txt",
    "d",
    "d/f/",
)
# "../two" is where it starts: a command line never gets above the folder that it is run in.
FOLDERS = ("d", "d/f", "./d/", "nothere", "../two", "d/..", '"d"')
READS = ("cat", "ls", "wc -l", "head -1", "grep -c x", "sort", "sed -n 1p", "test -f", "tail -2")
LISTS = (" && ", " || ", "; ", "\n", " & wait\n", " | ")


class Maker:
    """Makes one command line from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def pick(self, *options: str) -> str:
        """Returns one of the options."""
        return self.random.choice(options)

    def path(self) -> str:
        """Returns a word that names a file or a folder."""
        kind = self.random.random()
        if kind < 0.8:
            return self.pick(*PATHS)
        return self.pick("d/{e,h}.txt", "{a,q}.txt", "$NAME", "*.txt", "d/$(echo e.txt)", "a\\.txt")

    def write(self) -> str:
        """Returns a simple command that changes something."""
        one, two = self.path(), self.path()
        return self.pick(
            f"echo x > {one}",
            f"echo x >> {one}",
            f"echo x 2>&1 >| {one}",
            f"echo x &> {one}",
            f"echo y | tee -a {one} {two}",
            f"touch {one} {two}",
            f"rm -f {one}",
            f"rm -rf {one} {two}",
            f"mv {one} {two}",
            f"mv -t d {one}",
            f"cp -r {one} {two}",
            f"cp -T {one} {two}",
            f"mkdir -p {one}",
            f"rmdir {one}",
            f"sed -i s/x/y/ {one}",
            f"sed -i.bak -e s/x/y/ {one}",
            f"chmod u-w,u+w {one}",
            f"chmod -x {one}",
            f"truncate -s 1 {one}",
            f"ln -s {one} {two}",
            f"install -m 600 {one} {two}",
            f"dd if=/dev/null of={one}",
            f"gzip {one}",
            f"unlink {one}",
            f"> {one}",
            f"perl -pi -e 's/x/z/' {one}",
            f"find {one} -name 'e*' -delete",
            "find d -type f -exec rm {} \\;",
            f"echo {one} | xargs rm -f",
            "patch -p1 <<'EOF'\n--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-x\n+y\nEOF\n",
            f"cat <<EOF > {one}\n$(touch new2) `rm -f q.txt` $NAME\nEOF\n",
            f"cat <<'EOF' <<-X > {one}\n$(touch no)\nEOF\n\ttouch no\n\tX\n",
        )

    def read(self) -> str:
        """Returns a simple command that changes nothing."""
        return self.pick(
            f"{self.pick(*READS)} {self.path()}",
            f"{self.pick(*READS)} < a.txt",
            "echo 'touch no > no' # > no",
            'echo "> no; touch no"',
            "[[ a > no || ( b < no ) ]]",
            "(( 3 > 2 ))",
            "echo $(( 3 > 2 )) ${NAME:-> no}",
            "echo a\\>no 2> /dev/null >&2",
            "true",
            "X='> no' Y=$'\\x3e no'",
        )

    def command(self, depth: int) -> str:
        """Returns a command, often a compound one."""
        kind = self.random.random()
        if depth == 0 or kind < 0.45:
            return self.write() if self.random.random() < 0.6 else self.read()
        inner = self.script(depth - 1)
        end = "" if inner.endswith("\n") else "\n" if "\n" in inner else "; "
        if kind < 0.55:
            return f"cd {self.pick(*FOLDERS)}"
        quoted = "'" + inner.replace("'", "'\\''") + "'"
        return self.pick(
            f"({inner}{end})",
            f"{{ {inner}{end}}}",
            f"{{ {inner}{end}}} > {self.path()}",
            f"if {self.read()}\nthen {inner}{end}else {self.write()}\nfi",
            f"for x in 1 2; do {inner}{end}done",
            f"case $NAME in ne*|b) {inner}{end};; *) ;; esac",
            f"bash -c {quoted}",
            f"bash -ec {quoted}",
            f"sh <<'SCRIPT'\n{inner}\nSCRIPT\n",
            f"echo $({inner}{end})",
            f'echo "$({inner}{end})"',
            f"! {{ {inner}{end}}}",
            f"env A=b nice {self.write()}",
            f"while read -r x; do {inner}{end}done <<< word",
            f"cat a.txt > >(cat > {self.path()}); sleep 0.05",
            f"eval {quoted}",
        )

    def script(self, depth: int) -> str:
        """Returns one to three commands."""
        out = self.command(depth)
        for _ in range(self.random.choice((0, 0, 1, 1, 2))):
            joint = self.pick(*LISTS)
            out += joint if not out.endswith("\n") else "\n" if joint == "\n" else "true" + joint
            out += self.command(depth)
        return out


def generate(seed: int) -> str:
    """Returns the command line of a seed."""
    return Maker(seed).script(2)
