--- One update of Python: everything that is shown follows, in one go.
local M = {}

---@param json string parallel lists (src/agentdiff/nvim/views.py, `_flat`)
---@return agentdiff.InlineHunk[]
local function hunks_of(json)
  local lists = vim.json.decode(json)
  local ids, starts, counts, removals = lists.id, lists.start, lists.added, lists.removed
  local lines, owners, owner = lists.deleted, lists.owners, lists.owner
  local hunks, at = {}, 0
  for i = 1, #ids do
    local removed, deleted = removals[i], {}
    for n = 1, removed do
      deleted[n] = lines[at + n]
    end
    at = at + removed
    hunks[i] = {
      id = ids[i],
      kind = 'text',
      start = starts[i],
      added = counts[i],
      removed = removed,
      deleted = deleted,
      mixed = false,
      owner = owners[owner[i]],
    }
  end
  for _, odd in ipairs(lists.odd) do
    hunks[odd[1]].kind = odd[2]
  end
  for _, i in ipairs(lists.mixed) do
    hunks[i].mixed = true
  end
  return hunks
end

--- Makes a view of what Python sent. Hunks that did not change stay the same table.
---@param payload agentdiff.InlinePayload
---@param known agentdiff.InlineView? the one before
---@return agentdiff.InlineView
function M.view(payload, known)
  return {
    token = payload.token,
    seq = payload.seq,
    path = payload.path,
    status = payload.status,
    coverage = payload.coverage,
    moved_to = payload.moved_to,
    json = payload.hunks,
    hunks = known and known.json == payload.hunks and known.hunks or hunks_of(payload.hunks),
  }
end

--- Says once that the file of a buffer has another name now: what is written here would be two.
---@param buf integer
---@param known agentdiff.InlineView?
---@param view agentdiff.InlineView
local function tell_of_rename(buf, known, view)
  if view.moved_to ~= '' and view.moved_to ~= (known and known.moved_to or '') then
    local name = vim.fn.fnamemodify(vim.api.nvim_buf_get_name(buf), ':t')
    local owner = view.hunks[1] and view.hunks[1].owner or ''
    require('agentdiff').notify(
      ('%s was renamed to %s (%s)'):format(name, view.moved_to, owner),
      vim.log.levels.WARN
    )
  end
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
  for _, payload in ipairs(update.inline) do
    for _, buf in ipairs(buffers.named(payload.path)) do
      local known = inline.view(buf)
      local view = M.view(payload, known)
      tell_of_rename(buf, known, view)
      inline.set(buf, view, moved[buf])
      status.set_buffer(buf, view, update.summary)
      follow.drawn(buf)
      if #view.hunks > 0 then
        require('agentdiff.codeaction').attach(buf)
      end
    end
  end
  if update.review then
    require('agentdiff.review').draw(update.workspace, update.review, update.summary)
  end
  status.set_global(update.workspace, update.summary, update.wrote)
end

return M
