--- Variables for statuslines, and the `User` events. Must not ask anybody anything.
local M = {}

local api = vim.api
local stale = false
local newest = {} ---@type table<string, agentdiff.Summary>
local shown ---@type string? workspace of the text that statuslines show

--- Tells whoever listens; an error in a listener is its own.
---@param pattern string
---@param data table
function M.fire(pattern, data)
  api.nvim_exec_autocmds('User', { pattern = pattern, modeline = false, data = data })
end

---@param summary agentdiff.Summary
local function agents_of(summary)
  return table.concat(summary.agents or {}, ',')
end

local function mark(text)
  return stale and text ~= '' and text .. ' (stale)' or text
end

---@param summary agentdiff.Summary
local function global_text(summary)
  if (summary.hunks or 0) == 0 then
    return summary.state == 'working' and agents_of(summary) .. ' working' or ''
  end
  local files = summary.files == 1 and '1 file' or summary.files .. ' files'
  local hunks = summary.hunks == 1 and '1 hunk' or summary.hunks .. ' hunks'
  local text = ('%s %s'):format(files, hunks)
  return summary.state ~= 'idle' and ('%s %s %s'):format(text, agents_of(summary), summary.state)
    or text
end

---@param dict agentdiff.Status
local function buffer_text(dict)
  local parts = {}
  for _, part in ipairs({ { '+', dict.added }, { '~', dict.changed }, { '-', dict.removed } }) do
    if part[2] > 0 then
      parts[#parts + 1] = part[1] .. part[2]
    end
  end
  if #parts == 0 and dict.hunks > 0 then
    parts[1] = 'pending'
  end
  return table.concat(parts, ' ')
end

--- Sets the variables of a buffer.
---@param buf integer
---@param view agentdiff.InlineView
---@param summary agentdiff.Summary
function M.set_buffer(buf, view, summary)
  local added, changed, removed = 0, 0, 0
  for _, hunk in ipairs(view.hunks) do
    local both = math.min(hunk.added, hunk.removed)
    changed = changed + both
    added = added + hunk.added - both
    removed = removed + hunk.removed - both
  end
  ---@type agentdiff.Status
  local dict = {
    added = added,
    changed = changed,
    removed = removed,
    hunks = #view.hunks,
    pending = #view.hunks > 0,
    agent = agents_of(summary),
    state = summary.state or 'idle',
    coverage = view.coverage,
  }
  vim.b[buf].agentdiff_status_dict = dict
  vim.b[buf].agentdiff_status = mark(buffer_text(dict))
end

--- The workspace whose text is shown when that of another one is over.
---@return string? workspace
local function another()
  local found
  for workspace, summary in pairs(newest) do
    if not found or (summary.hunks or 0) > (newest[found].hunks or 0) then
      found = workspace
    end
  end
  return found
end

--- Sets the variable of the editor, and tells everybody that something was refreshed.
---@param workspace string
---@param summary agentdiff.Summary
---@param wrote string[]? relative paths that were written since the last update
function M.set_global(workspace, summary, wrote)
  if summary.gone then
    newest[workspace] = nil
    shown = shown ~= workspace and shown or another()
  else
    newest[workspace], shown = summary, workspace
  end
  vim.g.agentdiff_status = shown and mark(global_text(newest[shown])) or ''
  M.fire('AgentDiffUpdate', { workspace = workspace, summary = summary, written = wrote or {} })
  vim.cmd.redrawstatus({ bang = true })
end

local function remark()
  local last = shown
  for workspace, summary in pairs(newest) do
    if workspace ~= last then
      M.set_global(workspace, summary)
    end
  end
  if last then
    M.set_global(last, newest[last])
  end
  require('agentdiff.review').mark_stale(stale)
end

--- The daemon or the host went away: what is shown stays, marked, and one notice says so.
---@param who string
function M.lost(who)
  if stale then
    return
  end
  stale = true
  local message = ('%s went away; what is shown may be stale'):format(who)
  require('agentdiff').notice(message, vim.log.levels.WARN)
  M.fire('AgentDiffLost', { who = who })
  remark()
end

--- It is back.
function M.connected()
  stale = false
  M.fire('AgentDiffConnected', {})
  remark()
end

--- Returns the names of the agents at work, in every workspace that was heard of.
---@return string[]
function M.agents()
  local out = {}
  for _, summary in pairs(newest) do
    vim.list_extend(out, summary.agents or {})
  end
  return out
end

--- Whether what is shown may be out of date.
---@return boolean
function M.is_stale()
  return stale
end

--- A decision waits for an agent that is writing the file.
---@param message {workspace: string, for: {agent: string, tool: string, path: string}[]}
function M.waiting(message)
  local edit = message['for'][1]
  local what = ('waiting for %s: %s of %s'):format(edit.agent, edit.tool, edit.path)
  require('agentdiff').notify(what, vim.log.levels.INFO)
end

---@param message {workspace: string, agent: string, session: string, turn: string?}
function M.turn_ended(message)
  M.fire('AgentDiffTurnEnd', message)
end

return M
