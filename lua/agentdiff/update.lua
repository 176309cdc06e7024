--- One update of Python: everything that is shown follows, in one go.
local M = {}

local step = require('agentdiff.failures').step
-- Names of buffers that could not be brought up to date: the next update tries again.
local behind = {} ---@type table<string, boolean>

---@param json string `hunks` of an *inline view* (doc/protocol.md), counted from 0
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
      owner = owners[owner[i] + 1],
    }
  end
  for _, odd in ipairs(lists.odd) do
    hunks[odd[1] + 1].kind = odd[2]
  end
  for _, i in ipairs(lists.mixed) do
    hunks[i + 1].mixed = true
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
    require('agentdiff').notice(
      ('%s was renamed to %s (%s)'):format(name, view.moved_to, owner),
      vim.log.levels.WARN
    )
  end
end

--- Brings the text of the buffers of a file up to date.
---@param name string
---@param moved table<integer, boolean> gets those whose text was replaced
local function follow_text(name, moved)
  for _, buf in ipairs(require('agentdiff.buffers').named(name)) do
    local ok, replaced = step(require('agentdiff.buffers').follow, buf)
    moved[buf] = moved[buf] or replaced or not ok
    behind[name] = behind[name] or not ok or nil
  end
end

---@param buf integer
---@param payload agentdiff.InlinePayload
---@param update agentdiff.Update
---@param moved boolean?
local function draw_hunks(buf, payload, update, moved)
  local inline = require('agentdiff.inline')
  local known = inline.view(buf)
  local view = M.view(payload, known)
  tell_of_rename(buf, known, view)
  inline.set(buf, view, moved)
  require('agentdiff.status').set_buffer(buf, view, update.summary)
  require('agentdiff.follow').drawn(buf)
  if #view.hunks > 0 then
    require('agentdiff.codeaction').attach(buf)
  end
end

--- Draws an update. What fails for one buffer keeps nothing else from being drawn.
---@param update agentdiff.Update
function M.apply(update)
  local status = require('agentdiff.status')
  if status.is_stale() then
    step(status.connected)
  end
  step(require('agentdiff.follow').wrote, update.workspace, update.wrote)
  -- Text first: positions are those of the file as it is now.
  local moved = {} ---@type table<integer, boolean>
  local late = behind
  behind = {}
  for _, name in ipairs(vim.list_extend(vim.tbl_keys(late), update.written)) do
    follow_text(name, moved)
  end
  for _, payload in ipairs(update.inline) do
    for _, buf in ipairs(require('agentdiff.buffers').named(payload.path)) do
      step(draw_hunks, buf, payload, update, moved[buf])
      moved[buf] = nil
    end
  end
  -- Hunks that stayed the same are not sent again, but were drawn on text that was behind.
  for name in pairs(late) do
    for _, buf in ipairs(require('agentdiff.buffers').named(name)) do
      if moved[buf] then
        step(require('agentdiff.inline').redraw, buf)
      end
    end
  end
  if update.review then
    local draw = require('agentdiff.review').draw
    step(draw, update.workspace, update.review, update.summary)
  end
  -- Nobody has opened a comparison, or a list, with a module that is not loaded.
  for _, name in ipairs({ 'agentdiff.baseline', 'agentdiff.quickfix' }) do
    if package.loaded[name] then
      step(require(name).follow, update)
    end
  end
  step(status.set_global, update.workspace, update.summary, update.wrote)
end

return M
