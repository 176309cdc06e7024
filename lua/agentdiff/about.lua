--- What there is to know and to say about a hunk: evidence, comments, and the list of keys. Decides
--- nothing.
local M = {}

local api = vim.api

local function notify(message, level)
  require('agentdiff').notify(message, level)
end

---@param value any
---@return string? nil for nothing
local function text_of(value)
  return type(value) == 'string' and value ~= '' and value or nil
end

---@param lines string[]
---@param label string
---@param value any
local function add(lines, label, value)
  value = text_of(value)
  for i, line in ipairs(value and vim.split(value, '\n') or {}) do
    lines[#lines + 1] = ('  %-10s%s'):format(i == 1 and label or '', line)
  end
end

-- What stands behind each word of the evidence.
local EVIDENCE = {
  exact = 'exact: the content is what the call announced',
  likely = 'likely: written while the call ran',
  late = 'late: written after the call, before the next one',
  shared = 'shared: several agents were at work',
  external = 'external: nothing explains it',
}

---@param owner table of `explain` in doc/protocol.md
---@return string[]
local function owner_lines(owner)
  local who = owner.kind == 'agent' and text_of(owner.agent) or owner.kind
  if type(owner.n) == 'number' then
    who = ('%s · turn %d'):format(who, owner.n)
  end
  local lines = { ('%s  +%d -%d'):format(who, owner.lines.added, owner.lines.removed) }
  add(lines, 'prompt', owner.prompt)
  add(lines, 'tool', owner.tool)
  add(lines, 'command', owner.command)
  add(lines, 'outcome', owner.outcome)
  add(lines, 'subagent', owner.subagent)
  add(lines, 'session', owner.session)
  -- Which of several calls it was may not be known; then none is named as if it were.
  local perhaps = owner.calls or {}
  add(lines, 'call', #perhaps == 0 and owner.tool_call)
  for i, call in ipairs(perhaps) do
    local named = vim.tbl_filter(text_of, { call.agent, call.session, call.tool_call })
    add(lines, i == 1 and 'one of' or '', table.concat(named, ' '))
  end
  add(lines, 'evidence', EVIDENCE[owner.evidence] or owner.evidence)
  if type(owner.started) == 'number' then
    add(lines, 'started', os.date('%Y-%m-%d %H:%M:%S', math.floor(owner.started)) --[[@as string]])
  end
  return lines
end

--- Returns the hunks under the cursor, as the daemon knows them; tells when there are none.
---@param place table?
---@return table[]?
local function ask(place)
  if not place then
    return nil
  end
  local result, err = require('agentdiff.rpc').wait('explain', place)
  if err then
    notify(err.message, vim.log.levels.WARN)
    return nil
  end
  if #result.hunks == 0 then
    notify('no hunk here')
    return nil
  end
  return result.hunks
end

--- Shows who made the hunk under the cursor, for which prompt, and how that is known.
function M.explain()
  local hunks = ask(require('agentdiff.actions').place())
  if not hunks then
    return
  end
  local lines = {}
  for _, hunk in ipairs(hunks) do
    lines[#lines + 1] = ('%s  hunk %d@%d'):format(hunk.path, hunk.id, hunk.gen)
    if hunk.coverage ~= 'exact' then
      lines[#lines + 1] = '  baseline  ' .. hunk.coverage
    end
    for _, owner in ipairs(hunk.owners) do
      vim.list_extend(lines, owner_lines(owner))
    end
  end
  require('agentdiff.float').show(lines, '', {
    focus_id = 'agentdiff-explain',
    max_width = math.max(20, vim.o.columns - 4),
    wrap = true,
  })
end

--- Says which lines of which file on disk a range of the current buffer is; nil where it is none.
---@param first integer 1-based
---@param last integer inclusive
---@return table? payload
local function lines_of(first, last)
  local buf = api.nvim_get_current_buf()
  local review, workspace = require('agentdiff.review').get(buf)
  if not review then
    local path = api.nvim_buf_get_name(buf)
    if path == '' or vim.bo[buf].buftype ~= '' then
      return nil -- no file, whatever it may be called
    end
    local from, to = require('agentdiff.linemap').of(buf).to_disk(first, last)
    return from and { path = path, params = { lines = { from, to } } }
  end
  local geometry = require('agentdiff.view')
  local from, to = geometry.lnum(review.view, first - 1), geometry.lnum(review.view, last - 1)
  local file = geometry.file_at(review.view, first - 1)
  if from and to and file and file == geometry.file_at(review.view, last - 1) then
    return {
      workspace = workspace,
      params = { path = file.path, path_b64 = file.path_b64, lines = { from, math.max(from, to) } },
    }
  end
end

---@param payload table
---@param text string
local function send_comment(payload, text)
  payload.method = 'comment'
  payload.params.text = text
  local result, err = require('agentdiff.rpc').wait('request', payload)
  if err then
    notify(err.message, vim.log.levels.WARN)
    return
  end
  local to = {}
  for _, one in ipairs(result.to or {}) do
    to[#to + 1] = one.agent
  end
  notify(#to > 0 and 'comment kept for ' .. table.concat(to, ', ') or 'comment kept')
end

--- Says something about the hunk under the cursor, or about some lines, for the agent to read.
---@param what {text: string?, first: integer?, last: integer?}
function M.comment(what)
  require('agentdiff.buffers').enable()
  local payload = what.first and lines_of(what.first, what.last or what.first)
  if not payload then
    local place = require('agentdiff.actions').place(what.first)
    local hunk = (ask(place) or {})[1]
    if not place or not hunk then
      return
    end
    local params = { path = hunk.path, path_b64 = hunk.path_b64, hunk = hunk.id }
    payload = { workspace = place.workspace, params = params }
  end
  if what.text then
    send_comment(payload, what.text)
    return
  end
  vim.ui.input({ prompt = 'Comment: ' }, function(text)
    if text and vim.trim(text) ~= '' then
      send_comment(payload, text)
    end
  end)
end

--- Yanks what waits to be told to the agents, and counts it as told: the user passes it on.
function M.feedback()
  local result = require('agentdiff.report').ask('feedback', { take = true })
  if not result then
    return
  end
  if #result.notes == 0 then
    notify('nothing waits to be told')
    return
  end
  local register = vim.v.register
  vim.fn.setreg(register, result.text, 'l')
  local notes = #result.notes == 1 and '1 note' or #result.notes .. ' notes'
  notify(('%s yanked into register %s'):format(notes, register))
end

-- Actions that belong together, and what they do.
local KEYS = {
  { { 'accept-hunk', 'reject-hunk' }, 'accept, reject the hunk, or what is below the heading' },
  { { 'accept-file', 'reject-file' }, 'accept, reject everything in the file' },
  { { 'accept-group', 'reject-group' }, 'accept, reject everything below the heading' },
  { { 'accept-all', 'reject-all' }, 'accept, reject everything that is shown' },
  { { 'undo', 'redo' }, 'undo, redo the last decision' },
  { { 'next-hunk', 'prev-hunk' }, 'next, previous hunk' },
  { { 'next-file', 'prev-file' }, 'next, previous file' },
  { { 'next-group', 'prev-group' }, 'next, previous heading' },
  { { 'open', 'open-file' }, 'go to the line in the file' },
  { { 'open-split', 'open-tab' }, 'the same in a split, in a tab page' },
  { { 'explain' }, 'who made the hunk, for which prompt, how that is known' },
  { { 'comment' }, 'say something about it to the agent' },
  { { 'cycle-group' }, 'group by session, agent, file, turn' },
  { { 'toggle-fold' }, 'open or close the fold' },
  { { 'refresh' }, 'refresh' },
  { { 'help' }, 'this list' },
  { { 'close' }, 'close' },
}

--- Lists the keys of the review buffer in a float.
function M.help()
  local keys = require('agentdiff.config').get().review.keys
  local lines = {}
  for _, row in ipairs(KEYS) do
    local set = vim.tbl_filter(
      function(key)
        return key
      end,
      vim.tbl_map(function(name)
        return keys[name]
      end, row[1])
    )
    if #set > 0 then
      lines[#lines + 1] = ('%-16s %s'):format(table.concat(set, ' '), row[2])
    end
  end
  vim.list_extend(lines, {
    '',
    'In Visual mode the hunk keys act on the selected lines.',
    'A count takes so many hunks; . repeats.',
    'Edit + and context lines, then :w writes them.',
  })
  require('agentdiff.float').show(lines, '', { focus_id = 'agentdiff-help', wrap = false })
end

return M
