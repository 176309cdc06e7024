--- One update of Python: everything that is shown follows, in one go.
local M = {}

---@param update agentdiff.Update
function M.apply(update)
  local buffers = require('agentdiff.buffers')
  local inline = require('agentdiff.inline')
  local status = require('agentdiff.status')
  if status.is_stale() then
    status.connected()
  end
  local follow = require('agentdiff.follow')
  follow.wrote(update.workspace, update.wrote)
  -- Text first: positions are those of the file as it is now.
  local moved = {} ---@type table<integer, boolean>
  for _, name in ipairs(update.written) do
    for _, buf in ipairs(buffers.named(name)) do
      moved[buf] = buffers.follow(buf)
    end
  end
  for _, view in ipairs(update.inline) do
    for _, buf in ipairs(buffers.named(view.path)) do
      inline.set(buf, view, moved[buf])
      status.set_buffer(buf, view, update.summary)
      follow.drawn(buf)
    end
  end
  if update.review then
    require('agentdiff.review').draw(update.workspace, update.review, update.summary)
  end
  status.set_global(update.workspace, update.summary, update.wrote)
end

return M
