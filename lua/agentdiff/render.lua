--- Draws the review view into its buffer: text, colours of the visible rows. Must not handle keys.
local M = {}

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

local kinds = {} ---@type table<integer, string>

-- Only the rows on the screen are coloured, while they are drawn: a review may have 100,000 of
-- them.
local function on_win(_, _, buf, top, bottom)
  local letters = kinds[buf]
  if not letters then
    return false
  end
  for row = top, math.min(bottom, #letters - 1) do
    local group = GROUPS[letters:sub(row + 1, row + 1)]
    if group then
      api.nvim_buf_set_extmark(buf, ns, row, 0, {
        ephemeral = true,
        end_row = row + 1,
        hl_group = group,
        hl_eol = true,
        strict = false,
      })
    end
  end
  return false
end

api.nvim_set_decoration_provider(ns, { on_win = on_win })

--- Replaces the text, touching only the rows between the first and the last difference.
---@param buf integer
---@param new string[]
local function set_lines(buf, new)
  local old = api.nvim_buf_get_lines(buf, 0, -1, false)
  local head = 0
  while head < #old and head < #new and old[head + 1] == new[head + 1] do
    head = head + 1
  end
  local tail = 0
  while tail < #old - head and tail < #new - head and old[#old - tail] == new[#new - tail] do
    tail = tail + 1
  end
  if head == #old and head == #new then
    return
  end
  vim.bo[buf].modifiable = true
  api.nvim_buf_set_lines(buf, head, #old - tail, false, vim.list_slice(new, head + 1, #new - tail))
  vim.bo[buf].modifiable = false
  vim.bo[buf].modified = false
end

--- Draws a view.
---@param buf integer
---@param view agentdiff.ReviewView
function M.draw(buf, view)
  kinds[buf] = view.kinds
  set_lines(buf, view.lines)
end

---@param buf integer
function M.forget(buf)
  kinds[buf] = nil
end

return M
