// Formats Lua files with StyLua's WebAssembly build, by the rules of .stylua.toml.
//
//   node tools/stylua.mjs <package folder> check|fmt FILE…
//
// `check` changes nothing, names each file that is not formatted, and exits 1 if there is one.

import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const [folder, what, ...files] = process.argv.slice(2);
const { default: _, ...stylua } = createRequire(import.meta.url)(`${folder}/stylua_lib_node.cjs`);

const ENUMS = {
  syntax: stylua.LuaVersion,
  line_endings: stylua.LineEndings,
  indent_type: stylua.IndentType,
  quote_style: stylua.QuoteStyle,
  call_parentheses: stylua.CallParenType,
  collapse_simple_statement: stylua.CollapseSimpleStatement,
  space_after_function_names: stylua.SpaceAfterFunctionNames,
};

/** Returns StyLua's configuration; throws on a key or value that StyLua would not understand. */
function configuration(text) {
  const config = stylua.Config.new();
  for (const line of text.split('\n')) {
    const match = /^(\w+)\s*=\s*(?:"(\w+)"|(\d+))\s*$/.exec(line);
    if (!match) {
      if (/^\s*(#.*)?$/.test(line)) continue;
      throw new Error(`.stylua.toml: cannot read: ${line}`);
    }
    const [, key, word, number] = match;
    const value = word === undefined ? Number(number) : ENUMS[key]?.[word];
    if (value === undefined || !(key in config)) throw new Error(`.stylua.toml: unknown: ${line}`);
    config[key] = value;
  }
  return config;
}

const rules = readFileSync(new URL('../.stylua.toml', import.meta.url), 'utf8');
let unformatted = 0;
for (const file of files) {
  const before = readFileSync(file, 'utf8');
  let after;
  try {
    // A configuration belongs to one call: the call takes it away from us.
    after = stylua.formatCode(before, configuration(rules), undefined, stylua.OutputVerification.Full);
  } catch (error) {
    console.error(`${file}: ${error}`);
    unformatted += 1;
    continue;
  }
  if (after === before) continue;
  if (what === 'fmt') {
    writeFileSync(file, after);
  } else {
    console.error(`${file}: not formatted (make fmt)`);
    unformatted += 1;
  }
}
process.exit(unformatted > 0 ? 1 : 0);
