--- What follows the cursor in a file buffer: the count `3/12`, and virtual lines at the edges of
--- the text, to which Neovim does not scroll by itself. Must not draw hunks.
local M = {}

local api = vim.api
local ns = api.nvim_create_namespace('agentdiff.count')

---@return table
local function options()
  return require('agentdiff.config').get().inline
end

---@param buf integer
---@return agentdiff.InlineHunk[]
local function drawn(buf)
  local inline = require('agentdiff.inline')
  return inline.shown(buf) and inline.view(buf).status ~= 'deleted' and inline.view(buf).hunks or {}
end

--- Whether so many virtual lines above line 1 of the current window leave its cursor in sight, and
--- as far from its edge as 'scrolloff' says.
---@param fill integer
---@param line integer of the cursor
---@return boolean
local function leaves_room(fill, line)
  local below = math.min(vim.o.scrolloff, api.nvim_buf_line_count(0) - line)
  local height = api.nvim_win_get_height(0)
  if line + fill + below > height then
    return false -- without looking at lines that are nowhere near
  end
  local above = { start_row = 0, start_vcol = 0, end_row = line - 1 }
  return api.nvim_win_text_height(0, above).all + fill + below <= height
end

--- Makes virtual lines above line 1 visible in windows that show the top, unless the cursor would
--- leave the screen because of them.
---@param buf integer
function M.show_top(buf)
  local hunk = drawn(buf)[1]
  local first = hunk and (hunk.start == 0 or hunk.start == 1 and hunk.added > 0)
  if not first or #hunk.deleted == 0 or not options().deleted then
    return
  end
  for _, win in ipairs(vim.fn.win_findbuf(buf)) do
    api.nvim_win_call(win, function()
      local view = vim.fn.winsaveview()
      local fill = math.min(#hunk.deleted, vim.fn.winheight(0) - 1)
      local shown = view.topline > 1 or view.topfill >= fill
      if not shown and (view.lnum == 1 or leaves_room(fill, view.lnum)) then
        vim.fn.winrestview({ topline = 1, topfill = fill })
      end
    end)
  end
end

--- Scrolls the current window as far as virtual lines below the last line need.
---@param buf integer
local function show_bottom(buf)
  local hunks = drawn(buf)
  local hunk = hunks[#hunks]
  local last = api.nvim_buf_line_count(buf)
  if not hunk or hunk.added > 0 or hunk.start < last or #hunk.deleted == 0 then
    return
  end
  local view = vim.fn.winsaveview()
  local height = api.nvim_win_text_height(0, { start_row = view.topline - 1 }).all
  local hidden = height - api.nvim_win_get_height(0)
  if hidden > 0 then
    vim.fn.winrestview({ topline = math.min(view.topline + hidden, last) })
  end
end

--- Writes the count beside the hunk that the cursor is in.
---@param buf integer
---@param line integer 1-based
local function show_count(buf, line)
  api.nvim_buf_clear_namespace(buf, ns, 0, -1)
  if not options().count or #drawn(buf) == 0 then
    return
  end
  local there, index, total = require('agentdiff.inline').at(buf, line)
  if there then
    api.nvim_buf_set_extmark(buf, ns, there.first - 1, 0, {
      virt_text = { { ('%d/%d'):format(index, total), 'AgentDiffCount' } },
      virt_text_pos = 'right_align',
      strict = false,
    })
  end
end

--- Called when the hunks of a buffer were drawn anew: the cursor did not move, its hunk may have.
---@param buf integer
function M.drawn(buf)
  M.show_top(buf)
  if api.nvim_get_current_buf() == buf then
    show_count(buf, api.nvim_win_get_cursor(0)[1])
  end
end

--- Called when the cursor of the current window has moved.
---@param buf integer
function M.moved(buf)
  if not vim.b[buf].agentdiff_workspace then
    return
  end
  local line = api.nvim_win_get_cursor(0)[1]
  show_count(buf, line)
  if line == 1 then
    M.show_top(buf)
  elseif line == api.nvim_buf_line_count(buf) then
    show_bottom(buf)
  end
end

return M
