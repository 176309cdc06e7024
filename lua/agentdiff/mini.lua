--- A source for mini.diff: its reference text is the baseline. Loaded by the user only.
local M = {}

local api = vim.api

---@param buf integer
local function refresh(buf)
  local name = api.nvim_buf_get_name(buf)
  local request = { method = 'baseline.show', path = name }
  require('agentdiff.rpc').request('request', request, function(base)
    if base and base.kind ~= 'absent' and api.nvim_buf_is_valid(buf) then
      local bytes = vim.base64.decode(base.data_b64)
      require('mini.diff').set_ref_text(buf, (bytes:gsub('\r\n', '\n')))
    end
  end)
end

--- Returns the source.
---@return table
function M.source()
  local listening = {} ---@type table<integer, integer>
  return {
    name = 'agentdiff',
    attach = function(buf)
      if not vim.b[buf].agentdiff_workspace then
        return false
      end
      listening[buf] = api.nvim_create_autocmd('User', {
        pattern = 'AgentDiffUpdate',
        callback = function()
          refresh(buf)
        end,
      })
      refresh(buf)
    end,
    detach = function(buf)
      if listening[buf] then
        api.nvim_del_autocmd(listening[buf])
        listening[buf] = nil
      end
    end,
  }
end

return M
