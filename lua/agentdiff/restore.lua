--- The verbs of :AgentBaseline that change something: `set`, `restore`, `clear`, and `list`, whose
--- turns are what can be restored. Must not write: the daemon does, by compare-and-swap.
local M = {}

local api = vim.api

local function notify(message, level)
  require('agentdiff').notify(message, level or vim.log.levels.WARN)
end

--- Returns what names the current file in a request, or nil when there is none.
---@param op string
---@return {path: string, as_list: boolean}?
local function this_file(op)
  local path = api.nvim_buf_get_name(0)
  if path == '' or vim.bo.buftype ~= '' then
    notify(('%s: not a file (use ! for the whole workspace)'):format(op))
    return nil
  end
  return { path = path, as_list = true }
end

---@param method string
---@param op string
---@param params table
---@param where {path: string, as_list: boolean}|{cwd: string}?
---@return boolean ok
local function change(method, op, params, where)
  local result = require('agentdiff.report').ask(method, params, where)
  return result ~= nil and require('agentdiff.actions').report(op, result)
end

--- Makes the present content of the current file the baseline, or of all files.
---@param whole boolean
---@return boolean ok
function M.set(whole)
  local file = not whole and this_file('set baseline') or nil
  if not whole and not file then
    return false
  elseif file and vim.bo.modified then
    -- The baseline is what is on disk; what is not saved is not there.
    notify('the buffer has unsaved changes: write it first')
    return false
  end
  return change('baseline.set', 'set baseline', {}, file)
end

--- Ends the review of the workspace.
---@return boolean ok
function M.clear()
  return change('baseline.clear', 'clear', {})
end

--- Puts the current file, or all files, back to the baseline or to the start of a turn.
---@param whole boolean
---@param options {turn: string?, agent: string?, session: string?}
---@return boolean ok
function M.restore(whole, options)
  local file = not whole and this_file('restore') or nil
  if not whole and not file then
    return false
  end
  return change('baseline.restore', 'restore', options, file)
end

---@param turn table
---@return string
local function describe(turn)
  local prompt = type(turn.prompt) == 'string' and turn.prompt:gsub('%s*\n.*', ' …') or ''
  local at = type(turn.started) == 'number' and os.date('%H:%M', math.floor(turn.started)) or ''
  return ('turn %d  %s  %s  %s'):format(turn.n, at, turn.agent, prompt)
end

--- Offers the turns with |vim.ui.select()|, newest first; the choice is restored.
---@param whole boolean
function M.list(whole)
  local file = not whole and this_file('list') or nil
  if not whole and not file then
    return
  end
  -- Where that is asked for now is meant also when the choice is made elsewhere.
  local _, workspace = require('agentdiff.review').get(api.nvim_get_current_buf())
  local where = file or { cwd = workspace or vim.fn.getcwd() }
  local result = require('agentdiff.report').ask('baseline.list', nil, where)
  if not result then
    return
  elseif #result.turns == 0 then
    notify('no turn yet: the baseline is the only earlier state', vim.log.levels.INFO)
    return
  end
  local turns = {}
  for i = #result.turns, 1, -1 do
    turns[#turns + 1] = result.turns[i]
  end
  local what = file and vim.fn.fnamemodify(file.path, ':t') or 'the workspace'
  vim.ui.select(turns, {
    prompt = ('Restore %s to the start of:'):format(what),
    kind = 'agentdiff.turn',
    format_item = describe,
  }, function(turn)
    if turn then
      -- An id may be that of two sessions' turns.
      local chosen = { turn = turn.id, agent = turn.agent, session = turn.session }
      change('baseline.restore', 'restore', chosen, where)
    end
  end)
end

return M
