-- Neovim's Lua is LuaJIT; `vim` is the one global that it adds, with fields that plugins set.
std = 'luajit'
cache = false
max_line_length = 100
globals = { 'vim' }
-- A method of a documented interface keeps its arguments even where it needs none of them.
ignore = { '212/_.*' }
