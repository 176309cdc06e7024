"""`agentdiff run -- gemini` lets Gemini CLI report to the daemon, for that run only."""

from __future__ import annotations

import json
from pathlib import Path

from e2e import telemetry
from e2e.agent_gemini import GeminiCli
from e2e.case import TEN, played
from e2e.driver import Launch, step
from e2e.rig import AGENTDIFF, Rig


class _Launched(GeminiCli):
    """Gemini CLI, started by agentdiff."""

    def command(self, launch: Launch) -> list[str]:
        """See `Driver.command`."""
        return [str(AGENTDIFF), "run", "--", *GeminiCli.command(self, launch)]


def test_gemini_reports_for_one_run(gemini: GeminiCli) -> None:
    """The reports say who decided; nothing of them is in the settings."""
    with Rig(agent=_Launched(gemini.program), kind="git") as rig:
        telemetry.listen(rig)
        rig.prepare({b"a.txt": TEN})
        rig.install_hooks()
        edit = rig.agent.edit(rig.workspace, b"a.txt", "line 2\n", "line two\n")
        (turn,) = played(rig, step(edit))
        call = telemetry.wait_for_call(
            rig, lambda call: call["agent"] == "gemini" and call["decided_by"] == "config"
        )
        assert (call["session"], call["tool"]) == (turn.session, "replace")
        assert "telemetry" not in (rig.home / ".gemini" / "settings.json").read_text()


def test_an_exporter_of_the_users_is_not_replaced(gemini: GeminiCli) -> None:
    """Settings that say where telemetry goes are not overruled."""
    with Rig(agent=_Launched(gemini.program), kind="git") as rig:
        telemetry.listen(rig)
        rig.prepare({b"a.txt": TEN})
        rig.install_hooks()
        settings = rig.home / ".gemini" / "settings.json"
        trace = rig.outside / "telemetry.log"
        mine = {"enabled": True, "target": "local", "outfile": str(trace)}
        settings.write_text(json.dumps({**json.loads(settings.read_text()), "telemetry": mine}))
        played(rig, step(rig.agent.edit(rig.workspace, b"a.txt", "line 2\n", "line two\n")))
        assert "gemini_cli.tool_call" in Path(trace).read_text()
