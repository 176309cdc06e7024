--- Keys: which action they run, and what `.` repeats. Must not know what an action does.
local M = {}

if jit then
  jit.off(true, true) -- see render.lua
end

local api = vim.api

-- What `.` repeats; the others are no changes.
local REPEATS = {
  ['accept-hunk'] = true,
  ['reject-hunk'] = true,
  ['accept-file'] = true,
  ['reject-file'] = true,
}

local repeated ---@type {name: string, count: integer}?

--- What |g@| calls: the decision that `.` repeats.
function M.operator()
  if repeated then
    require('agentdiff.actions').run(
      repeated.name,
      vim.v.count > 0 and vim.v.count or repeated.count
    )
  end
end

--- Runs an action for a key, so that `.` repeats a decision.
---@param name string
function M.press(name)
  if not REPEATS[name] or api.nvim_get_mode().mode:match('^[vV\22]') then
    require('agentdiff.actions').run(name, vim.v.count1)
    return
  end
  repeated = { name = name, count = vim.v.count1 }
  vim.go.operatorfunc = "v:lua.require'agentdiff.keys'.operator"
  api.nvim_feedkeys('g@l', 'ni', false)
end

--- Presses a key of the review; while it is edited it means what it means in any buffer.
---@param name string
---@param key string
local function press_in_review(name, key)
  if vim.bo.modified then
    local count = vim.v.count > 0 and tostring(vim.v.count) or ''
    api.nvim_feedkeys(('"%s%s%s'):format(vim.v.register, count, vim.keycode(key)), 'ni', false)
  else
    M.press(name)
  end
end

-- What `q` does in other buffers of ours.
local closers = {} ---@type table<integer, fun()>

--- Closes what the current buffer shows; see |M.map_close|.
function M.close()
  local close = closers[api.nvim_get_current_buf()]
  if close then
    close()
  end
end

--- Has `q` close a buffer, or end a recording, as everywhere.
---@param buf integer
---@param close fun()
function M.map_close(buf, close)
  closers[buf] = close
  api.nvim_create_autocmd('BufWipeout', {
    buffer = buf,
    callback = function()
      closers[buf] = nil
    end,
  })
  vim.keymap.set('n', 'q', function()
    local recording = vim.fn.reg_recording() ~= ''
    return recording and 'q' or "<Cmd>lua require('agentdiff.keys').close()<CR>"
  end, { buffer = buf, expr = true, nowait = true, desc = 'agentdiff: close' })
end

--- Returns how a key of the review is mapped. `q` ends a recording here, too: as the value of an
--- expression, because only then Neovim takes it out of what was recorded.
---@param name string
---@param key string
---@return table opts
local function mapping_of(name, key)
  local opts = { noremap = true, nowait = true, desc = 'agentdiff: ' .. name }
  if key == 'q' then
    opts.expr, opts.replace_keycodes = true, true
    opts.callback = function()
      if vim.bo.modified or vim.fn.reg_recording() ~= '' then
        return 'q'
      end
      return ("<Cmd>lua require('agentdiff.keys').press('%s')<CR>"):format(name)
    end
  else
    opts.callback = function()
      press_in_review(name, key)
    end
  end
  return opts
end

-- By the table of the configuration: made once, because fifty mappings are a good part of what
-- the first screen waits for.
local made ---@type table<string, string|false>?
local mappings ---@type {[1]: string, [2]: table}[]

---@return {[1]: string, [2]: table}[] pairs of key and options
local function review_mappings()
  local keys = require('agentdiff.config').get().review.keys
  if made ~= keys then
    made, mappings = keys, {}
    for name, key in pairs(keys) do
      if key then
        mappings[#mappings + 1] = { key, mapping_of(name, key) }
      end
    end
  end
  return mappings
end

--- Sets the keys of a review buffer.
---@param buf integer
function M.map_review(buf)
  for _, mapping in ipairs(review_mappings()) do
    -- Not |vim.keymap.set()|, which costs several times as much.
    api.nvim_buf_set_keymap(buf, 'n', mapping[1], '', mapping[2])
    api.nvim_buf_set_keymap(buf, 'x', mapping[1], '', mapping[2])
  end
end

--- Sets the key of the text object: no key of Normal mode, where `ih` would keep |i| from
--- inserting an h.
---@param key string
---@param opts table of |vim.keymap.set()|
local function map_object(key, opts)
  vim.keymap.set('x', key, function()
    M.press('select-hunk')
  end, opts)
  vim.keymap.set('o', key, function()
    return require('agentdiff.menu').object_keys()
  end, vim.tbl_extend('force', opts, { expr = true }))
end

--- Sets the keys in a file buffer that the user asked for; none by default.
---@param buf integer
function M.map_file(buf)
  for name, key in pairs(require('agentdiff.config').get().keys) do
    local opts = { buffer = buf, nowait = true, desc = 'agentdiff: ' .. name }
    if key and name == 'select-hunk' then
      map_object(key, opts)
    elseif key then
      vim.keymap.set({ 'n', 'x' }, key, function()
        M.press(name)
      end, opts)
    end
  end
end

return M
