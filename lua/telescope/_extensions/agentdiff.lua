-- `:Telescope agentdiff`: the pending hunks. Loaded by telescope only.
return require('telescope').register_extension({
  exports = {
    agentdiff = function(opts)
      local pick = require('agentdiff.pick')
      local items = pick.items()
      if items then
        pick.telescope(items, opts)
      end
    end,
  },
})
