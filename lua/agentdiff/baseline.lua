--- The baseline of a file beside it, as a vimdiff, which follows while it is open. Must not touch
--- windows that are diffed already, nor wait unless the user asked.
local M = {}

local api = vim.api

local shown = {} ---@type table<integer, agentdiff.Comparison> by the file's buffer

---@param path string
---@return table? base the answer of `baseline.show`
local function fetch(path)
  local base, err = require('agentdiff.rpc').wait('request', {
    method = 'baseline.show',
    path = path,
  })
  if err then
    require('agentdiff').notify(err.message, vim.log.levels.WARN)
    return nil
  end
  return base
end

---@param base table the answer of `baseline.show`
---@param buf integer the file's buffer, whose encoding the base most likely shares
---@return string[] lines at least one, as a buffer has
local function to_lines(base, buf)
  local bytes = vim.base64.decode(base.data_b64)
  local encoding = vim.bo[buf].fileencoding
  if bytes:sub(1, 3) == '\239\187\191' then
    bytes = bytes:sub(4)
  end
  if encoding ~= '' and encoding ~= 'utf-8' then
    bytes = vim.iconv(bytes, encoding, 'utf-8') or bytes
  end
  if vim.bo[buf].fileformat == 'dos' then
    bytes = bytes:gsub('\r\n', '\n')
  end
  local lines = vim.split(bytes, '\n', { plain = true })
  if #lines > 1 and lines[#lines] == '' then
    lines[#lines] = nil
  end
  return lines
end

---@return boolean
local function tab_is_diffed()
  return require('agentdiff.windows').any_diffed(api.nvim_tabpage_list_wins(0))
end

---@param file_buf integer
---@param path string
---@param lines string[]
local function make_buffer(file_buf, path, lines)
  local buf = api.nvim_create_buf(false, true)
  api.nvim_buf_set_lines(buf, 0, -1, false, lines)
  api.nvim_buf_set_name(buf, ('agentdiff-base://%d/%s'):format(buf, path))
  vim.bo[buf].bufhidden = 'wipe'
  vim.bo[buf].undolevels = -1
  vim.bo[buf].modifiable = false
  vim.bo[buf].filetype = vim.bo[file_buf].filetype
  return buf
end

--- Shows a base at the left of its file. There may be no room, or a handler of the user's may fail:
--- that is said, and nothing is left behind.
---@param file_win integer
---@param buf integer
---@param layout agentdiff.Layout of the tab page
---@return integer? win
local function open_beside(file_win, buf, layout)
  local ok, problem = pcall(function()
    vim.cmd('leftabove vsplit')
    api.nvim_win_set_buf(0, buf)
  end)
  local win = api.nvim_get_current_win()
  if ok then
    return win
  end
  if win ~= file_win then
    api.nvim_win_close(win, true)
  end
  if api.nvim_buf_is_valid(buf) then
    api.nvim_buf_delete(buf, { force = true })
  end
  require('agentdiff.layout').restore(layout, file_win)
  require('agentdiff.windows').warn(problem, 'baseline')
end

--- Puts a newer base into its buffer: cursors stay on their lines, and the comparison is made anew.
---@param file_buf integer
---@param open agentdiff.Comparison
---@param base table the answer of `baseline.show`
local function refill(file_buf, open, base)
  if shown[file_buf] ~= open or not api.nvim_buf_is_loaded(open.buf) then
    return
  end
  vim.bo[open.buf].modifiable = true
  require('agentdiff.reload').edit(open.buf, to_lines(base, file_buf))
  vim.bo[open.buf].modifiable = false
  for _, win in ipairs(vim.fn.win_findbuf(open.buf)) do
    -- Neovim itself looks again only in the current tab page.
    api.nvim_win_call(win, function()
      vim.cmd('diffupdate')
    end)
  end
end

--- Asks for the base of an open comparison, in the background; one question at a time.
---@param file_buf integer
---@param open agentdiff.Comparison
local function ask(file_buf, open)
  if open.asking then
    open.again = true
    return
  end
  open.asking, open.again = true, nil
  local request = { method = 'baseline.show', path = api.nvim_buf_get_name(file_buf) }
  require('agentdiff.rpc').request('request', request, function(base)
    open.asking = nil
    if shown[file_buf] ~= open then
      return
    elseif base then
      require('agentdiff.gate').enter(function()
        refill(file_buf, open, base)
      end)
    else
      -- Nobody asked for it: nothing is said. What is shown stays, and the next update asks again.
      open.hunks = nil
    end
    if open.again and base then
      ask(file_buf, open)
    end
  end)
end

--- Has the bases of open comparisons follow an update. The base of a file is what is on disk
--- without its hunks: where neither has changed there is nothing to ask for.
---@param update agentdiff.Update
function M.follow(update)
  for file_buf, open in pairs(shown) do
    local name = api.nvim_buf_get_name(file_buf)
    for _, payload in ipairs(update.inline) do
      local written = vim.tbl_contains(update.written, name)
      if payload.path == name and (written or payload.hunks ~= open.hunks) then
        open.hunks = payload.hunks
        ask(file_buf, open)
      end
    end
  end
end

-- What was missed nobody knows: the next update asks for every base.
api.nvim_create_autocmd('User', {
  group = api.nvim_create_augroup('agentdiff.baseline', {}),
  pattern = 'AgentDiffConnected',
  callback = function()
    for _, open in pairs(shown) do
      open.hunks = nil
    end
  end,
})

---@param file_buf integer
---@return boolean closed whether there was one
local function close_known(file_buf)
  local open, comparison = shown[file_buf], require('agentdiff.comparison')
  if open and #vim.fn.win_findbuf(open.buf) == 0 then
    comparison.finish(open) -- `:noautocmd` let nobody know of its end
  elseif open then
    comparison.close(open)
    return true
  end
  return false
end

--- Puts the cursor of the base where that of the file is. Neovim does so after a command in Normal
--- mode; keys that are typed ahead may enter the base before, and take the other one to its top.
local function bind_cursors()
  if vim.fn.mode() == 'n' then
    vim.cmd('silent! normal! \27') -- does nothing; silently, for it may beep
  end
end

--- Closes a tab page that was opened for a comparison, unless the user has made it one of theirs.
---@param tab integer
---@param file_buf integer
---@param home integer the window that it was opened from
local function close_tab(tab, file_buf, home)
  if not api.nvim_tabpage_is_valid(tab) or #api.nvim_list_tabpages() == 1 then
    return
  end
  local wins = require('agentdiff.windows').grounded(tab)
  if #wins == 1 and api.nvim_win_get_buf(wins[1]) == file_buf then
    if api.nvim_get_current_tabpage() == tab and api.nvim_win_is_valid(home) then
      api.nvim_set_current_win(home)
    end
    -- Not |nvim_win_close()|, which crashes where a floating window would be left (0.10).
    vim.cmd.tabclose(api.nvim_tabpage_get_number(tab))
  end
end

--- Opens the base of the current file at its left, or closes it. Closing it restores the file's
--- window and the layout around it.
---@return boolean ok
local function show_here()
  local file_buf = api.nvim_get_current_buf()
  local path = api.nvim_buf_get_name(file_buf)
  if close_known(file_buf) then
    return true
  end
  if path == '' or vim.bo[file_buf].buftype ~= '' then
    require('agentdiff').notify('not a file', vim.log.levels.WARN)
    return false
  end
  local base = fetch(path)
  if not base then
    return false
  end
  local home, apart = api.nvim_get_current_win(), tab_is_diffed()
  if apart and not require('agentdiff.windows').split('tab split') then
    return false
  end
  local file_win = api.nvim_get_current_win()
  local comparison = require('agentdiff.comparison')
  local saved = comparison.options_of(file_win)
  local view = vim.fn.winsaveview()
  local layout = require('agentdiff.layout').take()
  local buf = make_buffer(file_buf, base.path, to_lines(base, file_buf))
  local win = open_beside(file_win, buf, layout)
  if not win then
    if apart then
      close_tab(layout.tab, file_buf, home)
    end
    return false
  end
  local open = {
    buf = buf,
    file_buf = file_buf,
    file_win = file_win,
    saved = saved,
    view = view,
    layout = layout,
    forget = function()
      shown[file_buf] = nil
    end,
    after = apart and function()
      close_tab(layout.tab, file_buf, home)
    end or nil,
  }
  shown[file_buf] = open
  require('agentdiff.inline').hide(file_buf, true)
  vim.cmd.diffthis()
  api.nvim_set_current_win(file_win)
  vim.cmd.diffthis()
  bind_cursors()
  require('agentdiff.keys').map_close(buf, function()
    comparison.close(open)
  end)
  comparison.watch(open, win)
  return true
end

--- Shows the comparison of the file under the cursor of a review in a tab page of its own, which
--- goes with it: the windows of the review stay as they are.
---@return boolean ok
local function show_beside_review()
  local home = api.nvim_get_current_win()
  if not require('agentdiff.motion').jump_to_file('tabedit') then
    return false
  end
  local tab, file_buf = api.nvim_get_current_tabpage(), api.nvim_get_current_buf()
  local open = shown[file_buf]
  local win = open and vim.fn.win_findbuf(open.buf)[1]
  if win or not show_here() then
    close_tab(tab, file_buf, home)
    api.nvim_set_current_win(home)
    if win then
      api.nvim_set_current_win(win)
    end
    return win ~= nil
  end
  shown[file_buf].after = function()
    close_tab(tab, file_buf, home)
  end
  return true
end

--- Opens the base of the current file, or of the one under the cursor of a review, at its left; or
--- closes it.
---@return boolean ok
function M.show()
  if require('agentdiff.review').get(api.nvim_get_current_buf()) then
    return show_beside_review()
  end
  return show_here()
end

return M
