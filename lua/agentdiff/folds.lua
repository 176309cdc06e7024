--- Folds of the review buffer: one per heading and one per file, kept closed or open through every
--- refresh. Manual ones: an expression would be evaluated for each of 100,000 lines.
local M = {}

local api = vim.api
local closed = {} ---@type table<integer, table<string, boolean>> by window

---@param view agentdiff.ReviewView
---@return {key: string, first: integer, last: integer}[] 1-based lines, outer ones after inner ones
local function ranges(view)
  local geometry = require('agentdiff.view')
  local out = {}
  local function add(key, first, last)
    while last > first and view.kinds:sub(last + 1, last + 1) == 'b' do
      last = last - 1
    end
    if last > first then
      out[#out + 1] = { key = key, first = first + 1, last = last + 1 }
    end
  end
  for i, file in ipairs(view.files) do
    local next_file, next_group = view.files[i + 1], view.groups[file.group + 2]
    local last = next_file and next_file.row or #view.kinds
    if next_group then
      last = math.min(last, next_group.row)
    end
    add(geometry.file_key(view, file), file.row, last - 1)
  end
  for i, group in ipairs(view.groups) do
    local after = view.groups[i + 1]
    add(geometry.group_key(group), group.row, (after and after.row or #view.kinds) - 1)
  end
  return out
end

--- Notes which folds of a window are closed, before the text changes.
---@param win integer
---@param view agentdiff.ReviewView
function M.remember(win, view)
  local known = closed[win] or {}
  closed[win] = known
  api.nvim_win_call(win, function()
    for _, range in ipairs(ranges(view)) do
      local at = vim.fn.foldclosed(range.first)
      -- Inside a closed fold nothing can be told of the inner ones: they stay as they were.
      if at == -1 or at == range.first then
        known[range.key] = at ~= -1 and vim.fn.foldclosedend(range.first) == range.last or nil
      end
    end
  end)
end

--- Makes the folds of a window anew; those that were closed are closed again.
---@param win integer
---@param view agentdiff.ReviewView
function M.apply(win, view)
  local known = closed[win] or {}
  api.nvim_win_call(win, function()
    if vim.wo.foldmethod ~= 'manual' then
      return
    end
    local list = ranges(view)
    if #view.kinds ~= vim.fn.line('$') then
      return -- The buffer is being edited.
    end
    vim.cmd('silent! normal! zE')
    for _, range in ipairs(list) do
      vim.cmd(('%d,%dfold'):format(range.first, range.last))
    end
    vim.cmd('silent! normal! zR')
    for _, range in ipairs(list) do
      if known[range.key] then
        vim.cmd(('%dfoldclose'):format(range.first))
      end
    end
  end)
end

--- Forgets the windows that are gone.
function M.tidy()
  for win in pairs(closed) do
    if not api.nvim_win_is_valid(win) then
      closed[win] = nil
    end
  end
end

--- Returns the text of a closed fold: its heading, and how much it hides.
---@return string
function M.text()
  local heading = vim.fn.getline(vim.v.foldstart)
  return ('%s  ⋯ %d lines '):format(heading, vim.v.foldend - vim.v.foldstart)
end

return M
