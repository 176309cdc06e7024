--- An agent's write and unsaved edits in one buffer: both are kept. Must not touch an unmodified
--- buffer (`reload` does), nor merge: Python does, three ways; the original is what buffer and
--- disk last agreed on.
local M = {}

local api = vim.api
local ns = api.nvim_create_namespace('agentdiff.conflict')
local MAX_BYTES = 8 * 1024 * 1024
local FIRST, LAST = '<<<<<<< your unsaved text', '>>>>>>> on disk'

---@class agentdiff.MergeState
---@field base string? what buffer and disk last agreed on
---@field merged integer? state of the undo history that the last merge made
---@field behind boolean? the text has seen the disk, the time stamp that |W12| is about has not
---@field waiting boolean? until the user has left Insert mode
---@field told string? the last problem that was said

local state = {} ---@type table<integer, agentdiff.MergeState>

---@param buf integer
---@return agentdiff.MergeState
local function of(buf)
  state[buf] = state[buf] or {}
  return state[buf]
end

---@param buf integer
local function name_of(buf)
  return vim.fn.fnamemodify(api.nvim_buf_get_name(buf), ':~:.')
end

---@param buf integer
---@param problem string
local function tell(buf, problem)
  if of(buf).told ~= problem then
    of(buf).told = problem
    require('agentdiff').notice(('%s: %s'):format(name_of(buf), problem), vim.log.levels.WARN)
  end
end

--- Remembers what buffer and disk agree on.
---@param buf integer
---@param bytes string? nil: what saving the unmodified buffer would write
function M.agreed(buf, bytes)
  local known = of(buf)
  known.behind, known.waiting, known.told, known.merged = nil, nil, nil, nil
  local size = bytes and #bytes or api.nvim_buf_get_offset(buf, api.nvim_buf_line_count(buf))
  known.base = size <= MAX_BYTES and (bytes or require('agentdiff.bytes').of_buffer(buf, '', true))
    or nil
end

---@param buf integer
function M.forget(buf)
  state[buf] = nil
end

--- Whether the text of the buffer is newer than the time stamp that Neovim knows.
---@param buf integer
---@return boolean
function M.is_behind(buf)
  return state[buf] ~= nil and state[buf].behind == true
end

---@class agentdiff.Conflict
---@field id integer of its extmark
---@field first integer 0-based row
---@field last integer exclusive
---@field coloured boolean
---@field open boolean whether a marker is left

---@param buf integer
---@return agentdiff.Conflict[]
local function known_conflicts(buf)
  return vim.tbl_map(function(found)
    local first, last = found[2], found[4].end_row or found[2]
    local lines = api.nvim_buf_get_lines(buf, first, last + 1, false)
    return {
      id = found[1],
      first = first,
      last = last,
      coloured = found[4].hl_group ~= nil,
      open = vim.tbl_contains(lines, FIRST) or vim.tbl_contains(lines, LAST),
    }
  end, api.nvim_buf_get_extmarks(buf, ns, 0, -1, { details = true }))
end

--- Returns how many conflicts of a merge the user has not resolved yet.
---@param buf integer
---@return integer
function M.conflicts(buf)
  return #vim.tbl_filter(function(conflict)
    return conflict.open
  end, known_conflicts(buf))
end

---@param buf integer
---@param id integer? of the extmark that there is
---@param first integer 0-based row
---@param last integer exclusive
---@param coloured boolean
local function mark(buf, id, first, last, coloured)
  api.nvim_buf_set_extmark(buf, ns, first, 0, {
    id = id,
    end_row = last,
    hl_group = coloured and 'AgentDiffConflict' or nil,
    hl_eol = coloured,
    strict = false,
  })
end

--- Has the colour of a conflict go when it is resolved. Its extmark stays: |undo| may bring the
--- markers back.
---@param buf integer
local function follow_resolving(buf)
  api.nvim_create_autocmd({ 'TextChanged', 'InsertLeave' }, {
    group = api.nvim_create_augroup('agentdiff.conflict.' .. buf, {}),
    buffer = buf,
    callback = function()
      local known = known_conflicts(buf)
      for _, conflict in ipairs(known) do
        if conflict.open ~= conflict.coloured then
          mark(buf, conflict.id, conflict.first, conflict.last, conflict.open)
        end
      end
      return #known == 0 -- the text was read anew
    end,
  })
end

---@param buf integer
---@param places integer[][]
local function show_conflicts(buf, places)
  for _, place in ipairs(places) do
    mark(buf, nil, place[1], place[2], true)
  end
  follow_resolving(buf)
  local count = #places == 1 and '1 conflict' or #places .. ' conflicts'
  tell(buf, count .. ' with the disk: both sides kept, choose')
  require('agentdiff.status').fire('AgentDiffConflict', {
    buf = buf,
    path = api.nvim_buf_get_name(buf),
    conflicts = #places,
  })
end

--- Puts the merged text into the buffer, as one step of its undo history.
---@param buf integer
---@param theirs {bytes: string, stamp: agentdiff.Stamp}
---@param result {text: string, conflicts: integer[][]}
---@return string? problem
local function apply(buf, theirs, result)
  local lines, ended = require('agentdiff.bytes').to_lines(buf, result.text)
  if not lines then
    return 'the merged text cannot be shown with the options of this buffer; :w! overwrites'
  end
  vim.bo[buf].undolevels = vim.bo[buf].undolevels
  local modifiable = vim.bo[buf].modifiable
  vim.bo[buf].modifiable = true
  -- No |W10|: Neovim warns at the first change only, and that was the user's.
  local ok, problem = pcall(require('agentdiff.reload').edit, buf, lines)
  vim.bo[buf].modifiable = modifiable
  if not ok then
    error(problem, 0)
  end
  vim.bo[buf].endofline = ended
  if result.text == theirs.bytes then
    -- Nothing of the user's is left: an ordinary buffer, whose time stamp is renewed.
    vim.bo[buf].modified = false
    require('agentdiff.reload').forget(buf)
    require('agentdiff.reload').sync(buf)
    return nil
  end
  require('agentdiff.reload').synced(buf, theirs.stamp)
  M.agreed(buf, theirs.bytes)
  of(buf).behind = true
  of(buf).merged = vim.fn.undotree(buf).seq_cur
  if #result.conflicts > 0 then
    show_conflicts(buf, result.conflicts)
  end
  return nil
end

---@param buf integer
---@return {base: string, ours: string, theirs: string}? sides nil when there is nothing to merge
---@return string|{bytes: string, stamp: agentdiff.Stamp}? problem_or_theirs
local function sides_of(buf)
  local bytes, stamp = require('agentdiff.reload').read(api.nvim_buf_get_name(buf))
  if not bytes or not stamp then
    return nil, 'it is not on disk any more; :w creates it again'
  end
  local known = of(buf)
  if known.base == bytes then
    require('agentdiff.reload').synced(buf, stamp)
    known.behind = true
    return nil
  end
  local ours = #bytes <= MAX_BYTES and require('agentdiff.bytes').of_buffer(buf, '', true)
  if not known.base or not ours or not require('agentdiff.bytes').to_lines(buf, bytes) then
    return nil, 'it changed on disk and cannot be merged; your unsaved edits stay, :w! overwrites'
  end
  return { base = known.base, ours = ours, theirs = bytes }, { bytes = bytes, stamp = stamp }
end

---@return boolean
local function is_typing()
  return api.nvim_get_mode().mode:match('^[iRvVsSc\22\19]') ~= nil
    or api.nvim_get_mode().mode:match('^no') ~= nil
end

--- Merges what is on disk into a modified buffer, in the background. Waits while the user types.
---@param buf integer
---@param done fun()? called when the text has changed
function M.into(buf, done)
  if not api.nvim_buf_is_loaded(buf) or not vim.bo[buf].modified then
    return
  elseif require('agentdiff.reload').seen(buf) then
    return
  elseif is_typing() then
    of(buf).waiting = true
    return
  end
  local sides, theirs = sides_of(buf)
  if not sides then
    if type(theirs) == 'string' then
      tell(buf, theirs)
    end
    return
  end
  local tick = api.nvim_buf_get_changedtick(buf)
  local function take(result, err)
    if not api.nvim_buf_is_loaded(buf) then
      return
    elseif err then
      tell(buf, 'it changed on disk and could not be merged: ' .. err.message)
    elseif api.nvim_buf_get_changedtick(buf) ~= tick or is_typing() then
      M.into(buf, done)
    else
      local problem = apply(buf, theirs --[[@as table]], result)
      if problem then
        tell(buf, problem)
      elseif done then
        done()
      end
    end
  end
  require('agentdiff.rpc').request('merge', sides, function(result, err)
    require('agentdiff.gate').enter(function()
      take(result, err)
    end)
  end)
end

--- Merges what had to wait.
---@param done fun(buf: integer)
function M.resume(done)
  for buf, known in pairs(state) do
    if not api.nvim_buf_is_loaded(buf) then
      state[buf] = nil -- `:noautocmd` let nobody know of its end
    elseif known.waiting then
      known.waiting = nil
      M.into(buf, function()
        done(buf)
      end)
    end
  end
end

--- Whether a state of the undo history is undone: later than the present one, or in another branch.
---@param entries table[] of |undotree()|
---@param seq integer
---@param now integer
---@return boolean
local function is_undone(entries, seq, now)
  for _, entry in ipairs(entries) do
    if entry.seq == seq then
      return seq > now
    elseif entry.alt and is_undone(entry.alt, seq, 0) then
      return true
    end
  end
  return false -- or so long ago that it cannot be undone any more
end

--- Says that a write has taken from the disk what was merged in before: |undo| shows older text.
---@param buf integer
function M.saved(buf)
  local merged = of(buf).merged
  local tree = merged and vim.fn.undotree(buf)
  if tree and is_undone(tree.entries, merged, tree.seq_cur) then
    -- Short: a line of 80 columns must show the remedy.
    tell(buf, ('saved without the merge; :undo %d and :write bring it back'):format(merged))
  end
end

--- Makes sure that saving a buffer overwrites nothing that it has not seen. The user's own
--- `:write` has to wait for the merge: Neovim cannot take a write up again later, and one that is
--- refused would have to be given twice. Only Python is asked, which merges by itself, never the
--- daemon; no longer than `timeout_ms`, and then nothing is written.
---@param buf integer
---@return string? problem why it must not be saved
function M.guard(buf)
  local reload = require('agentdiff.reload')
  if vim.uv.fs_stat(api.nvim_buf_get_name(buf)) and not reload.seen(buf) then
    local sides, theirs = sides_of(buf)
    if sides then
      local result, err = require('agentdiff.rpc').wait('merge', sides)
      local problem = err and err.message or apply(buf, theirs --[[@as table]], result)
      if problem then
        return problem
      end
      require('agentdiff').notify(name_of(buf) .. ': merged with what an agent wrote meanwhile')
    elseif type(theirs) == 'string' then
      return theirs
    end
  end
  local left = M.conflicts(buf)
  if left > 0 then
    return ('%d unresolved conflict%s (or :w!)'):format(left, left > 1 and 's' or '')
  end
  return nil
end

return M
