--- What a session file (|:mksession|) keeps of ours: how a review was grouped and limited, and what
--- a comparison had changed in the window of its file. Names of buffers are all that Neovim writes
--- by itself, and |'sessionoptions'| has no variables by default: a line at the end has the rest.
local M = {}

local api = vim.api
local VARIABLE = 'AgentdiffSession'

---@class agentdiff.SessionFile
---@field reviews table<string, table<string, any>> filters by workspace
---@field windows table<string, table<string, any>> options of the windows of files, by path

--- What a session file that was just read has.
---@return agentdiff.SessionFile
local function read()
  local text = vim.g[VARIABLE]
  return text and vim.json.decode(text) or { reviews = {}, windows = {} }
end

---@return agentdiff.SessionFile
local function state()
  -- Also of those that are being restored.
  local waiting = require('agentdiff.restored').waiting()
  local reviews = vim.tbl_extend('force', read().reviews, waiting)
  for _, buf in ipairs(api.nvim_list_bufs()) do
    local review, workspace = require('agentdiff.review').get(buf)
    if review and workspace then
      reviews[workspace] =
        vim.tbl_extend('force', review.view.filters, { group = review.view.group })
    end
  end
  return { reviews = reviews, windows = require('agentdiff.comparison').saved() }
end

--- Adds to the session file that was just written what is open now.
function M.write()
  local now = state()
  if next(now.reviews) or next(now.windows) then
    local line = ('let g:%s = %s'):format(VARIABLE, vim.fn.string(vim.json.encode(now)))
    vim.fn.writefile({ line }, vim.v.this_session, 'a')
  end
end

--- Returns the filters of the review that is being restored.
---@param workspace string
---@return table<string, any> filters empty when the session file has none
function M.filters(workspace)
  return read().reviews[workspace] or {}
end

--- Removes the base of a comparison: its text is not in a session file. The windows beside it are
--- no comparison any more.
---@param base integer
---@param windows table<string, table<string, any>> see |agentdiff.SessionFile|
local function drop(base, windows)
  local comparison = require('agentdiff.comparison')
  for _, shown in ipairs(vim.fn.win_findbuf(base)) do
    for _, win in ipairs(api.nvim_tabpage_list_wins(api.nvim_win_get_tabpage(shown))) do
      if win ~= shown and vim.wo[win].foldmethod == 'diff' then
        local name = api.nvim_buf_get_name(api.nvim_win_get_buf(win))
        comparison.give_options(win, windows[name] or comparison.defaults())
      end
    end
  end
  api.nvim_buf_delete(base, { force = true })
end

--- Restores what a session file has of ours, which was just read but for its last line.
function M.loaded()
  local bases = {}
  for _, buf in ipairs(api.nvim_list_bufs()) do
    local name = api.nvim_buf_get_name(buf)
    if require('agentdiff.restored').workspace_of(name) then
      require('agentdiff.restored').open(buf, name)
    elseif vim.startswith(name, 'agentdiff-base://') then
      bases[#bases + 1] = buf
    end
  end
  -- After the reviews, which are asked for as soon as the session is read.
  vim.schedule(function()
    local windows = read().windows
    for _, base in ipairs(bases) do
      if api.nvim_buf_is_valid(base) and not require('agentdiff.comparison').is_open(base) then
        drop(base, windows)
      end
    end
    vim.g[VARIABLE] = nil
  end)
end

return M
