--- One update of Python: everything that is shown follows, in one go.
local M = {}

--- Makes a view of the parallel lists that Python sends.
---@param view agentdiff.InlineView its `hunks` are lists
---@return agentdiff.InlineView
function M.view(view)
  local lists, hunks =
    view.hunks, --[[@as table<string, any[]>]]
    {}
  for i = 1, #lists.id do
    hunks[i] = {
      id = lists.id[i],
      kind = lists.kind[i],
      start = lists.start[i],
      added = lists.added[i],
      removed = lists.removed[i],
      deleted = lists.deleted[i],
      mixed = lists.mixed[i],
      owner = lists.owner[i],
    }
  end
  view.hunks = hunks
  return view
end

--- Draws an update.
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
  for _, lists in ipairs(update.inline) do
    local view = M.view(lists)
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
