--- A source for mini.diff: its reference text is the baseline. Loaded by the user only.
local M = {}

local api = vim.api
local listening = {} ---@type table<integer, integer> autocommands of the buffers that show it

---@param buf integer
local function refresh(buf)
  local name = api.nvim_buf_get_name(buf)
  local request = { method = 'baseline.show', path = name }
  require('agentdiff.rpc').request('request', request, function(base)
    if not base or not api.nvim_buf_is_valid(buf) or not listening[buf] then
      return
    elseif base.kind == 'other' then
      -- There is no text to compare with (a folder, a device): it shows nothing.
      require('mini.diff').set_ref_text(buf, {})
      return
    end
    -- Of a file that was created the text is empty: all of it is new. An empty table would be none.
    local bytes = vim.base64.decode(base.data_b64)
    require('mini.diff').set_ref_text(buf, (bytes:gsub('\r\n', '\n')))
  end)
end

--- Returns the source.
---@return table
function M.source()
  return {
    name = 'agentdiff',
    attach = function(buf)
      if not vim.b[buf].agentdiff_workspace then
        return false
      end
      listening[buf] = api.nvim_create_autocmd('User', {
        pattern = 'AgentDiffUpdate',
        callback = function(args)
          -- While the daemon is away nobody is asked: that would start another one.
          local ours = args.data.workspace == vim.b[buf].agentdiff_workspace
          if ours and not require('agentdiff.status').is_stale() then
            refresh(buf)
          end
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
