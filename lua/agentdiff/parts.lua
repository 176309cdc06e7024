--- Writes of a part of a buffer (`:1,3write other`) and those that append (`:write >> other`): they
--- are the user's as every other, and claimed like them. Must not watch anything.
local M = {}

local api = vim.api
local MAX_BYTES = 8 * 1024 * 1024 -- of a file to append to: it is read as a whole

---@class agentdiff.Part
---@field first integer 1-based line
---@field last integer inclusive
---@field count integer lines of the buffer at that time
---@field before string what stands in the file and stays
---@field cmdarg string
---@field at_us integer wall clock

local under_way = {} ---@type table<integer, agentdiff.Part> by buffer

---@param buf integer
---@param part agentdiff.Part
---@return string? bytes of the whole file
local function bytes_of(buf, part)
  -- As Neovim does when a handler changes the text before it is written.
  local last = part.last + api.nvim_buf_line_count(buf) - part.count
  local data = require('agentdiff.bytes').of_buffer(buf, part.cmdarg, false, {
    first = part.first,
    last = last,
    appended = part.before ~= '',
  })
  return data and part.before .. data
end

--- Returns what stands in a file that is appended to.
---@param path string
---@return string? bytes nil when nobody can tell
local function standing(path)
  local stat = vim.uv.fs_stat(path)
  if not stat then
    return ''
  end
  return stat.size <= MAX_BYTES and require('agentdiff.reload').read(path) or nil
end

--- Has such writes claimed.
---@param group integer of autocommands
---@param clock fun(): integer us wall clock
---@param claim fun(path: string, data: string, written: boolean, since_us: integer?)
function M.install(group, clock, claim)
  local function on(events, callback)
    api.nvim_create_autocmd(events, { group = group, callback = callback })
  end
  on({ 'FileWritePre', 'FileAppendPre' }, function(args)
    local used = require('agentdiff.rpc').used()
    local before = used and (args.event == 'FileWritePre' and '' or standing(args.match))
    under_way[args.buf] = before
        and {
          first = vim.fn.line("'["),
          last = vim.fn.line("']"),
          count = api.nvim_buf_line_count(args.buf),
          before = before,
          cmdarg = vim.v.cmdarg,
          at_us = clock(),
        }
      or nil
  end)
  on({ 'FileWritePost', 'FileAppendPost' }, function(args)
    local part = under_way[args.buf]
    under_way[args.buf] = nil
    local data = part and bytes_of(args.buf, part)
    if data then
      claim(args.match, data, true, part.at_us)
    end
  end)
end

return M
