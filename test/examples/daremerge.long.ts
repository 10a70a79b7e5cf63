import { testSnippets } from './snippets.js'

testSnippets('sd15', (i) => i % 2 === 1)
testSnippets('sdxl', (i) => i % 2 === 0)
