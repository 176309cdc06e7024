// agentdiff for opencode: tells the agentdiff daemon what opencode is about to do, and waits until
// the baseline is taken.  Written by `agentdiff install opencode`; `agentdiff uninstall opencode`
// removes it.  Never throws, since an exception would abort the tool; without agentdiff it does nothing.
//
// Rendered at install time: @CLIENT@ is a JSON list of the words of the hook command, empty in a file
// that is shared with other people.  Shapes: opencode 1.18.33.
import { spawn } from "node:child_process"
import { accessSync, constants } from "node:fs"
import path from "node:path"

const INSTALLED = @CLIENT@

function command() {
  if (INSTALLED.length) return INSTALLED
  const home = process.env.XDG_DATA_HOME
  const data = home && path.isAbsolute(home) ? home : path.join(process.env.HOME || "", ".local", "share")
  const client = path.join(data, "agentdiff", "bin", "agentdiff-hook")
  try {
    accessSync(client, constants.X_OK)
    return [client, "opencode"]
  } catch {
    return ["agentdiff-hook", "opencode"]
  }
}

// As long as other agents wait for a hook; the client itself gives up earlier.
const WAIT_MS = 15000

// Hands a payload to the hook client; resolves, always, with what it wants the agent to read.
function send(payload) {
  return new Promise((resolve) => {
    try {
      const [program, ...words] = command()
      const child = spawn(program, words, { stdio: ["pipe", "pipe", "ignore"] })
      let answer = ""
      const end = (text) => {
        clearTimeout(limit)
        resolve(text)
      }
      // Nothing that it started keeps the agent waiting either: its standard output may be open still.
      const limit = setTimeout(() => {
        child.kill()
        child.stdout.destroy()
        end("")
      }, WAIT_MS)
      child.on("error", () => end(""))
      child.on("close", () => end(answer))
      child.stdout.setEncoding("utf8") // a character may come in two pieces
      child.stdout.on("data", (chunk) => (answer += chunk))
      child.stdin.on("error", () => {})
      child.stdin.end(JSON.stringify(payload))
    } catch {
      resolve("")
    }
  })
}

function textOf(parts) {
  return (parts || [])
    .filter((part) => part.type === "text" && !part.synthetic)
    .map((part) => part.text)
    .join("\n")
}

export const Agentdiff = async ({ client, directory }) => {
  const parents = new Map() // session → the session that started it, "" for one of the user's
  const seen = new Set() // sessions of the user's that did something here

  async function parentOf(session) {
    if (!parents.has(session)) {
      // Resumed: its creation was told to an earlier process.
      const known = await client.session.get({ path: { id: session } }).catch(() => undefined)
      if (!parents.has(session)) parents.set(session, known?.data?.parentID || "")
    }
    return parents.get(session)
  }

  async function tell(hook, session, fields) {
    let root = session
    for (let up = await parentOf(root); up && up !== root; up = await parentOf(root)) root = up
    seen.add(root)
    const subagent = root === session ? undefined : session
    return send({ hook, directory, session: root, subagent, ...fields })
  }

  async function happened({ type, properties: about }) {
    const session = about?.sessionID || about?.info?.id
    if (type === "session.created") parents.set(session, about.info.parentID || "")
    if (type === "session.deleted") await tell(type, session, {})
    if (type === "session.idle") await tell(type, session, {})
    if (type === "session.error" && session) {
      const { name, data } = about.error || {}
      await tell(type, session, { error: { name, data: { message: data?.message } } })
    }
    if (type === "permission.asked") await tell(type, session, { permission: about.permission })
    if (type === "permission.replied") await tell(type, session, { reply: about.reply })
    if (type === "message.part.updated" && about.part.type === "tool" && about.part.state.status === "error") {
      // The only sign of a call that failed or was rejected.
      const { tool, callID, state } = about.part
      await tell(type, session, { tool, call: callID, args: state.input, error: state.error })
    }
  }

  async function asked(input, output) {
    const message = output.message.id
    const answer = await tell("chat.message", input.sessionID, { message, text: textOf(output.parts) })
    const text = answer && JSON.parse(answer).hookSpecificOutput.additionalContext
    if (!text) return
    const last = output.parts[output.parts.length - 1]
    const where = { sessionID: input.sessionID, messageID: message }
    output.parts.push({ id: `${last?.id || "prt_"}0`, ...where, type: "text", synthetic: true, text })
  }

  const quietly = (work) => async (input, output) => {
    try {
      await work(input, output)
    } catch {}
  }

  return {
    event: quietly(({ event }) => happened(event)),
    "chat.message": quietly(asked),
    "tool.execute.before": quietly(({ tool, sessionID, callID }, { args }) =>
      tell("tool.execute.before", sessionID, { tool, call: callID, args }),
    ),
    "tool.execute.after": quietly(({ tool, sessionID, callID, args }, result) =>
      tell("tool.execute.after", sessionID, { tool, call: callID, args, exit: result?.metadata?.exit }),
    ),
    dispose: quietly(() => Promise.all([...seen].map((session) => tell("dispose", session, {})))),
  }
}
