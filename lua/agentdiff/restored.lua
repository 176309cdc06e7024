--- A review buffer that a session file (|:mksession|) names is opened again, in the background: a
--- start waits for nobody.
local M = {}

local api = vim.api

-- Filters of the reviews that are not there yet, by workspace: the next session file has them, too.
local waiting = {} ---@type table<string, table<string, any>>

local placeholders = {} ---@type table<integer, true> by buffer

--- Returns the filters of the reviews that have not been restored yet.
---@return table<string, table<string, any>> by workspace
function M.waiting()
  return waiting
end

--- Says in a placeholder what becomes of it.
---@param buf integer
---@param text string
local function say(buf, text)
  api.nvim_buf_set_lines(buf, 0, -1, false, vim.split('agentdiff: ' .. text, '\n'))
  vim.bo[buf].modified = false
end

---@param workspace string
---@return integer? buf
local function review_of(workspace)
  for _, buf in ipairs(api.nvim_list_bufs()) do
    local review, root = require('agentdiff.review').get(buf)
    if review and root == workspace and api.nvim_buf_is_loaded(buf) then
      return buf
    end
  end
end

--- Shows a review in a window that was restored, at its first hunk.
---@param win integer
---@param buf integer
local function show(win, buf)
  if not require('agentdiff.windows').can_change(win) then
    return
  end
  api.nvim_win_set_buf(win, buf)
  local review = require('agentdiff.review').get(buf)
  local first = review and review.view.hunks.row[1]
  if first and api.nvim_win_get_cursor(win)[1] == 1 then
    api.nvim_win_call(win, function()
      require('agentdiff.panes').go_to(review --[[@as agentdiff.Review]], first)
    end)
  end
end

--- Shows a review in the windows of a placeholder, which goes with the last of them.
---@param buf integer
---@param workspace string
local function replace(buf, workspace)
  local review = review_of(workspace)
  if not review then
    -- Text was locked, or it could not be drawn, which has been told.
    if api.nvim_buf_is_loaded(buf) then
      say(buf, 'the review could not be shown; :AgentDiff tries again')
    end
    return
  end
  for _, win in ipairs(vim.fn.win_findbuf(buf)) do
    show(win, review)
  end
  if #vim.fn.win_findbuf(review) == 0 and not vim.bo[review].modified then
    -- The window was closed meanwhile: nobody wants to see it.
    api.nvim_buf_delete(review, { force = true })
  end
end

---@param filters table<string, any>
---@return boolean
local function limits(filters)
  for name in pairs(filters) do
    if name ~= 'group' then
      return true
    end
  end
  return false
end

--- What a review is limited to may be gone: then all of it is shown, and that is said.
---@param buf integer
---@param workspace string
---@param saved table<string, any> what a session file says of it
local function ask(buf, workspace, saved)
  local options = require('agentdiff.config').get().review
  local filters = vim.tbl_extend('keep', saved, {
    context = options.context,
    group = options.group,
  })
  local request = { filters = filters, workspace = workspace }
  waiting[workspace] = saved
  require('agentdiff.buffers').enable()
  require('agentdiff.rpc').request('review.open', request, function(result, err)
    require('agentdiff.gate').enter(function()
      if not err then
        waiting[workspace] = nil
        replace(buf, result.workspace)
      elseif not api.nvim_buf_is_loaded(buf) then
        return
      elseif limits(saved) and err.code ~= 'unavailable' then
        require('agentdiff').notify(err.message .. ' (all of it is shown)', vim.log.levels.WARN)
        ask(buf, workspace, { group = saved.group })
      else
        say(buf, 'the review could not be opened: ' .. err.message)
      end
    end)
  end)
end

--- Returns the workspace whose review a buffer was, or waited for, by its name.
---@param name string
---@return string?
function M.workspace_of(name)
  return name:match('^agentdiff://(.*)$') or name:match('^agentdiff%-restored://%d+(/.*)$')
end

--- Fills the windows of a placeholder with the review of its workspace, once it is there.
---@param buf integer
---@param name string of the buffer
function M.open(buf, name)
  if require('agentdiff.review').get(buf) or placeholders[buf] then
    return
  end
  placeholders[buf] = true
  local workspace = M.workspace_of(name) --[[@as string]]
  -- The review's own buffer will have this name.
  vim.bo[buf].buftype = 'nofile'
  vim.bo[buf].bufhidden = 'wipe'
  api.nvim_buf_call(buf, function()
    local mods = { keepalt = true, silent = true }
    vim.cmd.file({ ('agentdiff-restored://%d%s'):format(buf, workspace), mods = mods })
  end)
  -- Neovim keeps another buffer of the old name, which would be restored as well.
  local other = vim.fn.bufadd(name)
  if other ~= buf then
    api.nvim_buf_delete(other, { force = true })
  end
  say(buf, 'the review is being opened')
  -- Not while the session is being read.
  vim.schedule(function()
    if api.nvim_buf_is_loaded(buf) then
      ask(buf, workspace, require('agentdiff.sessionfile').filters(workspace))
    end
  end)
end

return M
