--- Keys: which action they run, and what `.` repeats. Must not know what an action does.
local M = {}

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

--- Sets the keys of a review buffer. While it is edited they mean what they mean in any buffer.
---@param buf integer
function M.map_review(buf)
  for name, key in pairs(require('agentdiff.config').get().review.keys) do
    if key then
      local function press()
        if vim.bo[buf].modified then
          local count = vim.v.count > 0 and tostring(vim.v.count) or ''
          api.nvim_feedkeys(
            ('"%s%s%s'):format(vim.v.register, count, vim.keycode(key)),
            'ni',
            false
          )
        else
          M.press(name)
        end
      end
      -- Not |vim.keymap.set()|: fifty of them are a part of what the first screen waits for.
      local opts = { callback = press, noremap = true, nowait = true, desc = 'agentdiff: ' .. name }
      api.nvim_buf_set_keymap(buf, 'n', key, '', opts)
      api.nvim_buf_set_keymap(buf, 'x', key, '', opts)
    end
  end
end

--- Sets the keys in a file buffer that the user asked for; none by default.
---@param buf integer
function M.map_file(buf)
  for name, key in pairs(require('agentdiff.config').get().keys) do
    if key then
      vim.keymap.set({ 'n', 'x' }, key, function()
        M.press(name)
      end, { buffer = buf, nowait = true, desc = 'agentdiff: ' .. name })
    end
  end
end

return M
