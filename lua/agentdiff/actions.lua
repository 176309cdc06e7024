--- What a key or a command means where the cursor is: turned into an intent for Python. Must not
--- decide anything.
local M = {}

local api = vim.api
-- The words of the command line.
local WEAK = 'not replaced in one step (a hard link, a program that has it open, or the file '
  .. 'system); look whether something else was written there at that moment: '

local function notify(message, level)
  require('agentdiff').notify(message, level)
end

---@param n integer
---@param noun string
local function counted(n, noun)
  return ('%d %s%s'):format(n, noun, n == 1 and '' or 's')
end

--- Says what a decision did, when it did not do simply what was asked.
---@param op string
---@param result table? a *decision result* of doc/protocol.md
---@param err {code: string, message: string}?
---@return boolean ok
function M.report(op, result, err)
  if err then
    notify(err.message, err.code == 'usage' and vim.log.levels.ERROR or vim.log.levels.WARN)
    return false
  end
  local hunks = 0
  for _, done in ipairs(result.done) do
    hunks = hunks + #done.hunks
  end
  for _, refused in ipairs(result.refused) do
    notify(('%s: %s'):format(refused.path, refused.reason), vim.log.levels.WARN)
  end
  if #(result.moved_on or {}) > 0 then
    notify('changed meanwhile, still pending: ' .. table.concat(result.moved_on, ', '))
  end
  if #(result.weak or {}) > 0 then
    notify(WEAK .. table.concat(result.weak, ', '), vim.log.levels.WARN)
  end
  if hunks == 0 and #result.done == 0 then
    if #result.refused == 0 then
      notify(('nothing to %s'):format(op))
    end
    return false
  end
  require('agentdiff.status').fire('AgentDiffDecision', result)
  local files = counted(#result.done, 'file')
  if op == 'undo' or op == 'redo' then
    -- A decision taken back names every hunk of its files, not those that it was about.
    local text = ('%s: %s'):format(op, files)
    if result.workspace and result.workspace ~= vim.b.agentdiff_workspace then
      local where = vim.fn.fnamemodify(result.workspace, ':~')
      local room = vim.v.echospace - #text - #' in '
      text = text .. ' in ' .. (#where > room and vim.fn.pathshorten(where) or where)
    end
    api.nvim_echo({ { text } }, false, {})
    return true
  end
  api.nvim_echo({ { ('%s: %s in %s'):format(op, counted(hunks, 'hunk'), files) } }, false, {})
  return true
end

---@class agentdiff.Intent
---@field op 'accept'|'reject'
---@field scope 'hunk'|'lines'|'file'|'group'|'all'
---@field count integer? so many hunks
---@field first integer? 1-based line of the current buffer
---@field last integer? inclusive
---@field reason string?
---@field discard_user boolean?
---@field external boolean?
---@field agent string?
---@field session string?
---@field turn string?
---@field call string?

---@param intent agentdiff.Intent
---@param payload table
---@return string? problem
local function aim_at_file(intent, payload)
  local buf = api.nvim_get_current_buf()
  local view = require('agentdiff.inline').view(buf)
  if not view then
    return 'this buffer is not under review'
  end
  payload.view = 'file'
  payload.path = view.path
  payload.token = view.token
  if not vim.bo[buf].modified then
    return nil
  end
  -- The buffer's lines are not the file's: a reject reaches the disk, and from there the buffer, by
  -- a merge.
  if intent.scope == 'hunk' then
    payload.hunks = require('agentdiff.inline').ids_between(buf, intent.first, intent.last)
    if #payload.hunks == 0 then
      return 'no hunk here'
    end
  elseif intent.scope == 'lines' then
    local range = require('agentdiff.linemap').of(buf).to_disk
    payload.first, payload.last = range(intent.first, intent.last)
    if not payload.first then
      return 'no hunk here'
    end
  end
end

---@param review agentdiff.Review
---@param workspace string?
---@param intent {first: integer, last: integer}
---@param payload table
---@return string? problem
local function aim_at_review(review, workspace, intent, payload)
  if not review.drawn then
    return 'nothing is shown that this could be about; :AgentDiff shows it'
  end
  payload.view = 'review'
  payload.workspace = workspace
  payload.token = review.view.token
  payload.first, payload.last = intent.first - 1, intent.last - 1
end

--- Accepts or rejects, and waits until that is done and drawn.
---@param intent agentdiff.Intent
---@return boolean ok
function M.decide(intent)
  local cursor = api.nvim_win_get_cursor(0)[1]
  intent.first = intent.first or cursor
  intent.last = intent.last or intent.first
  local payload = vim.tbl_extend('force', {}, intent) --[[@as table]]
  local problem ---@type string?
  local review, workspace = require('agentdiff.review').get(api.nvim_get_current_buf())
  if review then
    if require('agentdiff.edit').refuse(review.buf) then
      return false
    end
    problem = aim_at_review(review, workspace, intent, payload)
  elseif intent.scope == 'group' then
    problem = 'groups are headings of the review buffer'
  elseif intent.scope ~= 'all' then
    problem = aim_at_file(intent, payload)
  end
  if problem then
    notify(problem, vim.log.levels.WARN)
    return false
  end
  return M.report(intent.op, require('agentdiff.rpc').wait('decide', payload))
end

--- Undoes or redoes a decision: in a review the last one of its workspace, elsewhere the last one.
---@param op 'undo'|'redo'
---@return boolean ok
function M.history(op)
  local review, workspace = require('agentdiff.review').get(api.nvim_get_current_buf())
  if review and require('agentdiff.edit').refuse(review.buf) then
    return false
  end
  local before = review and review.view
  local payload = { workspace = workspace, near = vim.b.agentdiff_workspace }
  if vim.bo.buftype == '' then
    payload.path = api.nvim_buf_get_name(0)
  end
  local done = M.report(op, require('agentdiff.rpc').wait(op, payload))
  local row = before and require('agentdiff.view').first_new(review.view, before)
  if row then
    -- As after any undo, the cursor is where something came back.
    require('agentdiff.panes').go_to(review --[[@as agentdiff.Review]], row)
    vim.cmd('normal! zv')
  end
  return done
end

--- Goes to the next or previous hunk of the buffer.
---@param step 1|-1
function M.jump(step)
  if require('agentdiff.review').get(api.nvim_get_current_buf()) then
    require('agentdiff.motion').jump(step, 'hunk')
    return
  end
  local places = require('agentdiff.inline').positions(0 + api.nvim_get_current_buf())
  if #places == 0 then
    notify('no hunks in this buffer')
    return
  end
  local line = api.nvim_win_get_cursor(0)[1]
  local target
  for _ = 1, vim.v.count1 do
    target = nil
    for i = step > 0 and 1 or #places, step > 0 and #places or 1, step do
      if (places[i].first - line) * step > 0 then
        target = i
        break
      end
    end
    if not target and vim.o.wrapscan then
      target = step > 0 and 1 or #places
    end
    if not target then
      notify('no further hunk')
      return
    end
    line = places[target].first
  end
  vim.cmd("normal! m'")
  api.nvim_win_set_cursor(0, { line, 0 })
  vim.cmd('normal! zv')
  local owner = places[target].hunk.owner
  api.nvim_echo({ { ('hunk %d/%d  %s'):format(target, #places, owner) } }, false, {})
end

--- Shows old and new lines of the hunk under the cursor in a float that the next movement closes.
--- The review shows them already: there it is who made the hunk, and why.
function M.preview()
  local buf = api.nvim_get_current_buf()
  if require('agentdiff.review').get(buf) then
    require('agentdiff.about').explain()
    return
  end
  local line = api.nvim_win_get_cursor(0)[1]
  for _, at in ipairs(require('agentdiff.inline').positions(buf)) do
    if line >= at.first and line <= at.last then
      local lines = vim.tbl_map(function(text)
        return '-' .. text
      end, at.hunk.deleted)
      if at.hunk.added > 0 then
        for _, text in ipairs(api.nvim_buf_get_lines(buf, at.first - 1, at.last, false)) do
          lines[#lines + 1] = '+' .. text
        end
      end
      table.insert(lines, 1, ('@@ %s @@'):format(at.hunk.owner))
      local view = require('agentdiff.inline').view(buf)
      local note = view and require('agentdiff.coverage').note(view.coverage)
      if note then
        table.insert(lines, 2, ('# the base is not exact: %s'):format(note))
      end
      require('agentdiff.float').show(lines, 'diff', { focus_id = 'agentdiff', wrap = false })
      return
    end
  end
  notify('no hunk here')
end

--- Returns the lines of a visual selection, or nil in normal mode; leaves visual mode.
---@return integer? first
---@return integer? last
local function selection()
  local mode = api.nvim_get_mode().mode
  if not mode:match('^[vV\22]') then
    return nil
  end
  local first, last = vim.fn.line('v'), vim.fn.line('.')
  -- Not |nvim_feedkeys()|: with `x` it runs what was typed ahead first, still in Visual mode.
  vim.cmd.normal({ vim.keycode('<Esc>'), bang = true })
  return math.min(first, last), math.max(first, last)
end

---@param op 'accept'|'reject'
---@param scope 'hunk'|'file'|'group'|'all'
local function decider(op, scope)
  return function(count)
    local first, last = selection()
    M.decide({
      op = op,
      scope = first and scope == 'hunk' and 'lines' or scope,
      first = first,
      last = last,
      count = count,
    })
  end
end

local actions = {
  ['accept-hunk'] = decider('accept', 'hunk'),
  ['reject-hunk'] = decider('reject', 'hunk'),
  ['accept-file'] = decider('accept', 'file'),
  ['reject-file'] = decider('reject', 'file'),
  ['accept-group'] = decider('accept', 'group'),
  ['reject-group'] = decider('reject', 'group'),
  ['accept-all'] = decider('accept', 'all'),
  ['reject-all'] = decider('reject', 'all'),
  ['undo'] = function()
    M.history('undo')
  end,
  ['redo'] = function()
    M.history('redo')
  end,
  ['next-hunk'] = function()
    M.jump(1)
  end,
  ['prev-hunk'] = function()
    M.jump(-1)
  end,
  ['preview-hunk'] = M.preview,
  ['select-hunk'] = function()
    require('agentdiff.menu').select_hunk()
  end,
  ['owner'] = function()
    local buf = api.nvim_get_current_buf()
    if require('agentdiff.review').get(buf) then
      require('agentdiff.about').explain()
    else
      require('agentdiff.inline').toggle_owners(buf)
    end
  end,
  ['actions'] = function()
    require('agentdiff.menu').offer()
  end,
  ['explain'] = function()
    require('agentdiff.about').explain()
  end,
  ['comment'] = function()
    local first, last = selection()
    require('agentdiff.about').comment({ first = first, last = last })
  end,
  ['review'] = function()
    require('agentdiff.review').open()
  end,
  ['cycle-group'] = function()
    require('agentdiff.review').regroup()
  end,
  ['toggle-fold'] = function()
    -- Outside of every fold there is nothing to toggle.
    vim.cmd('silent! normal! za')
  end,
  ['baseline'] = function()
    require('agentdiff.baseline').show()
  end,
  ['open'] = function()
    require('agentdiff.motion').jump_to_file('edit')
  end,
  ['open-split'] = function()
    require('agentdiff.motion').jump_to_file('split')
  end,
  ['open-tab'] = function()
    require('agentdiff.motion').jump_to_file('tabedit')
  end,
  ['refresh'] = function()
    require('agentdiff.rpc').send('refresh', { full = true })
  end,
  ['close'] = function()
    require('agentdiff.review').close()
  end,
  ['help'] = function()
    require('agentdiff.about').help()
  end,
}
actions['open-file'] = actions['open']
for name, step in pairs({ next = 1, prev = -1 }) do
  for _, what in ipairs({ 'file', 'group' }) do
    actions[name .. '-' .. what] = function()
      require('agentdiff.motion').jump(step, what)
    end
  end
end

--- Runs an action by its name.
---@param name string
---@param count integer?
function M.run(name, count)
  local action = actions[name]
  if not action then
    notify(('unknown action: %s'):format(name), vim.log.levels.ERROR)
    return
  end
  action(count)
end

--- Returns where the cursor or the selection is, as Python wants it; nil with the reason told.
---@param first integer? 1-based line
---@param last integer? inclusive
---@return table? payload
function M.place(first, last)
  local cursor = api.nvim_win_get_cursor(0)[1]
  local intent = { first = first or cursor, last = last or first or cursor, scope = 'hunk' }
  local payload = vim.tbl_extend('force', {}, intent)
  local review, workspace = require('agentdiff.review').get(api.nvim_get_current_buf())
  local problem
  if review then
    problem = aim_at_review(review, workspace, intent, payload)
  else
    problem = aim_at_file(intent, payload)
  end
  if problem then
    notify(problem, vim.log.levels.WARN)
    return nil
  end
  return payload
end

return M
