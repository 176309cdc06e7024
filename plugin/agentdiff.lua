-- Entry point: commands, mappings, and the hook that attaches buffers after startup. Requires
-- nothing eagerly.
if vim.g.loaded_agentdiff then
  return
end
vim.g.loaded_agentdiff = true

---@param name 'AgentDiff'|'AgentBaseline'
---@param run string|fun(args: table)
---@param bar boolean
---@param desc string
local function create(name, run, bar, desc)
  vim.api.nvim_create_user_command(name, run, {
    nargs = '*',
    bang = true,
    bar = bar,
    range = true,
    complete = function(lead, line, position)
      return require('agentdiff.command').complete(name, lead, line, position)
    end,
    desc = desc,
  })
end

-- What stands behind a bar is |:execute|d, so that it fails as if it had been typed.
create(
  'AgentDiff',
  "execute v:lua.require'agentdiff.bar'.run(<q-args>, <bang>0, <range>, <line1>, <line2>)",
  false,
  'Review what agents changed'
)
create('AgentBaseline', function(args)
  require('agentdiff.command').run('AgentBaseline', args)
end, true, 'Compare with the baseline')

local actions = {
  ['accept-hunk'] = 'Accept the hunk under the cursor, or the selected lines',
  ['reject-hunk'] = 'Reject the hunk under the cursor, or the selected lines',
  ['accept-file'] = 'Accept everything pending in the file',
  ['reject-file'] = 'Reject everything pending in the file',
  ['accept-group'] = 'Accept everything below the heading of the review',
  ['reject-group'] = 'Reject everything below the heading of the review',
  ['accept-all'] = 'Accept everything pending in the workspace',
  ['reject-all'] = 'Reject everything pending in the workspace',
  ['undo'] = 'Undo the last decision',
  ['redo'] = 'Redo the last undone decision',
  ['next-hunk'] = 'Go to the next hunk',
  ['prev-hunk'] = 'Go to the previous hunk',
  ['preview-hunk'] = 'Show the hunk under the cursor in a float',
  ['owner'] = 'Show or hide who did each hunk of the file',
  ['actions'] = 'Offer what can be done with the hunk under the cursor',
  ['select-hunk'] = 'Select the lines of the hunk under the cursor',
  ['explain'] = 'Show owner, prompt, command and evidence of the hunk',
  ['comment'] = 'Say something about the hunk or the lines to the agent',
  ['review'] = 'Open the review buffer',
  ['cycle-group'] = 'Group the review by the next of turn, session, agent, file',
  ['baseline'] = 'Compare the file with its baseline',
}
for action, desc in pairs(actions) do
  vim.keymap.set({ 'n', 'x' }, ('<Plug>(agentdiff-%s)'):format(action), function()
    require('agentdiff.keys').press(action)
  end, { desc = desc })
end

vim.keymap.set('o', '<Plug>(agentdiff-select-hunk)', function()
  return require('agentdiff.menu').object_keys()
end, { expr = true, desc = actions['select-hunk'] })

local session = vim.api.nvim_create_augroup('agentdiff.session', {})
vim.api.nvim_create_autocmd('BufReadCmd', {
  group = session,
  pattern = { 'agentdiff://*', 'agentdiff-restored://*' },
  callback = function(args)
    require('agentdiff.restored').open(args.buf, args.match)
  end,
})
vim.api.nvim_create_autocmd('SessionLoadPost', {
  group = session,
  callback = function()
    require('agentdiff.sessionfile').loaded()
  end,
})
vim.api.nvim_create_autocmd('SessionWritePost', {
  group = session,
  callback = function()
    require('agentdiff.sessionfile').write()
  end,
})

local function attach()
  -- Off the startup path: the first frame is on the screen before anything of ours is loaded.
  vim.schedule(function()
    require('agentdiff.buffers').auto_attach()
  end)
end

if vim.v.vim_did_enter == 1 then
  attach()
else
  vim.api.nvim_create_autocmd('VimEnter', {
    group = vim.api.nvim_create_augroup('agentdiff.start', {}),
    once = true,
    callback = attach,
  })
end
