--- Draws the review view into its buffer: text, and the background of the visible rows. Must not
--- handle keys.
local M = {}

-- Interpreted, as is all that a first screen waits for: every few steps Neovim is called, where
-- LuaJIT gives a trace up. That it tries again and again costs more than the whole drawing here.
if jit then
  jit.off(true, true)
end

local api = vim.api
local ns = api.nvim_create_namespace('agentdiff.review')
local GROUPS = {
  t = 'AgentDiffTitle',
  f = 'AgentDiffFile',
  m = 'AgentDiffMeta',
  h = 'AgentDiffHunk',
  d = 'AgentDiffDeleted',
  a = 'AgentDiffAdded',
  n = 'AgentDiffNoNewline',
}
-- While the user edits, a row is what its first character says.
local MARKS = { ['+'] = 'a', ['-'] = 'd', [' '] = 'c', ['\\'] = 'n', ['@'] = 'h', [''] = 'b' }

---@class agentdiff.Drawn
---@field view agentdiff.ReviewView
---@field rest string? file with the lines that are not read yet
---@field short boolean? that file is gone

local drawn = {} ---@type table<integer, agentdiff.Drawn>

---@param buf integer
---@param top integer
---@param bottom integer inclusive
---@return string letters one for each row
local function edited_kinds(buf, top, bottom)
  local letters = {}
  for i, line in ipairs(api.nvim_buf_get_lines(buf, top, bottom + 1, false)) do
    letters[i] = MARKS[line:sub(1, 1)] or 'f'
  end
  return table.concat(letters)
end

-- Only the rows on the screen are coloured, while they are drawn: a review may have 100,000 of
-- them. Below the colours of the language, so that these keep their foreground.
local function on_win(_, _, buf, top, bottom)
  local known = drawn[buf]
  if not known then
    return false
  end
  bottom = math.min(bottom, api.nvim_buf_line_count(buf) - 1)
  local modified = api.nvim_get_option_value('modified', { buf = buf })
  local letters = modified and edited_kinds(buf, top, bottom)
    or known.view.kinds:sub(top + 1, bottom + 1)
  local first = 1
  while first <= #letters do -- Rows of one kind are one extmark.
    local letter = letters:sub(first, first)
    local after = letters:find('[^' .. letter .. ']', first) or #letters + 1
    if GROUPS[letter] then
      api.nvim_buf_set_extmark(buf, ns, top + first - 1, 0, {
        ephemeral = true,
        end_row = top + after - 1,
        hl_group = GROUPS[letter],
        hl_eol = true,
        strict = false,
        priority = 90,
      })
    end
    first = after
  end
  if not known.rest and not modified then
    require('agentdiff.colours').want(buf, known.view, top, bottom)
  end
  return false
end

api.nvim_set_decoration_provider(ns, { on_win = on_win })

--- Changes the text without leaving anything to undo: `u` takes decisions back.
---@param buf integer
---@param change fun()
local function changing(buf, change)
  local here = { buf = buf }
  local modifiable = api.nvim_get_option_value('modifiable', here)
  local levels = api.nvim_get_option_value('undolevels', here)
  api.nvim_set_option_value('undolevels', -1, here)
  if not modifiable then
    api.nvim_set_option_value('modifiable', true, here)
  end
  local ok, problem = pcall(change)
  if not modifiable then
    api.nvim_set_option_value('modifiable', false, here)
  end
  api.nvim_set_option_value('undolevels', levels, here)
  api.nvim_set_option_value('modified', false, here)
  if not ok then
    error(problem, 0)
  end
end

---@param buf integer
---@param first integer
---@param last integer exclusive
---@param lines string[]
local function replace(buf, first, last, lines)
  require('agentdiff.colours').clear(buf, first, last)
  api.nvim_buf_set_lines(buf, first, last, false, lines)
end

--- Returns how many rows are equal at both ends.
---@param old string[]
---@param new string[]
local function common_ends(old, new)
  local head, tail = 0, 0
  while head < #old and head < #new and old[head + 1] == new[head + 1] do
    head = head + 1
  end
  while tail < #old - head and tail < #new - head and old[#old - tail] == new[#new - tail] do
    tail = tail + 1
  end
  return head, tail
end

-- This one calls nobody, for thousands of rows.
if jit then
  jit.on(common_ends)
end

---@param buf integer
---@param view agentdiff.ReviewView
---@return {[1]: integer, [2]: integer}[]? changed ranges of new rows, half-open; nil for all
local function set_all(buf, view)
  if view.file then
    drawn[buf].rest = view.file
    replace(buf, 0, -1, view.lines)
    return nil
  end
  local old = api.nvim_buf_get_lines(buf, 0, -1, false)
  local head, tail = common_ends(old, view.lines)
  if head == #old and head == #view.lines then
    return {}
  end
  local fresh = #view.lines - tail
  replace(buf, head, #old - tail, vim.list_slice(view.lines, head + 1, fresh))
  return { { head, fresh } }
end

---@param buf integer
---@param splices {[1]: integer, [2]: integer, [3]: string[]}[]
---@return {[1]: integer, [2]: integer}[]
local function set_parts(buf, splices)
  local changed, grown = {}, 0
  for _, splice in ipairs(splices) do
    local first, last, lines = splice[1] + grown, splice[2] + grown, splice[3]
    replace(buf, first, last, lines)
    changed[#changed + 1] = { first, first + #lines }
    grown = grown + #lines - (last - first)
  end
  return changed
end

--- Reads the rows of a long review that are still in their file.
---@param buf integer
---@return boolean read
function M.fill(buf)
  local known = drawn[buf]
  local file = known and known.rest
  if not file then
    return false
  end
  known.rest = nil
  if not vim.uv.fs_stat(file) then
    -- Somebody cleaned the folder: it is sent again.
    known.short = true
    require('agentdiff.review').ask_again()
    return false
  end
  local views = {}
  for _, win in ipairs(vim.fn.win_findbuf(buf)) do
    views[win] = api.nvim_win_call(win, vim.fn.winsaveview)
  end
  changing(buf, function()
    api.nvim_buf_call(buf, function()
      local command = 'silent noautocmd keepalt keepjumps $read ++bin %s'
      vim.cmd(command:format(vim.fn.fnameescape(file)))
    end)
  end)
  for win, view in pairs(views) do
    api.nvim_win_call(win, function()
      vim.fn.winrestview(view)
    end)
  end
  -- In the background: a disk with much to do takes its time.
  vim.uv.fs_unlink(file, function() end)
  require('agentdiff.view').read(known.view)
  return true
end

--- Draws a view, or what changed in it since the one that is drawn.
---@param buf integer
---@param view agentdiff.ReviewView
---@return boolean changed whether any row did
function M.draw(buf, view)
  M.fill(buf)
  drawn[buf] = { view = view }
  local changed
  changing(buf, function()
    if view.splices then
      changed = set_parts(buf, view.splices)
    else
      changed = set_all(buf, view)
    end
  end)
  require('agentdiff.colours').changed(buf, view, changed)
  return not changed or #changed > 0
end

--- Whether rows of a long review are still in their file.
---@param buf integer
---@return boolean
function M.partial(buf)
  return drawn[buf] ~= nil and drawn[buf].rest ~= nil
end

--- Whether rows are missing that cannot be read any more.
---@param buf integer
---@return boolean
function M.is_short(buf)
  return drawn[buf] ~= nil and drawn[buf].short == true
end

--- Returns the view that is drawn.
---@param buf integer
---@return agentdiff.ReviewView?
function M.view(buf)
  return drawn[buf] and drawn[buf].view
end

---@param buf integer
function M.forget(buf)
  local known = drawn[buf]
  for _, file in ipairs(known and { known.rest or '', known.view.index_file or '' } or {}) do
    if file ~= '' then
      vim.uv.fs_unlink(file)
    end
  end
  drawn[buf] = nil
  require('agentdiff.colours').forget(buf)
end

return M
