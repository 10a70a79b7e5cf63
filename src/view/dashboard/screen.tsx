import { Box, renderToString, Text } from 'ink'

/** Some lines of the screen, one below the other. They are as wide as they are to be: nothing is wrapped. */
const Lines = ({ lines }: { readonly lines: readonly string[] }) => (
  <Box flexDirection="column">
    {lines.map((line, i) => (
      <Text key={i} wrap="truncate">
        {line === '' ? ' ' : line}
      </Text>
    ))}
  </Box>
)

/** Painted lines as `ink` puts them on a terminal of that width; spaces at their ends are left out. */
export const renderLines = (lines: readonly string[], columns: number): readonly string[] =>
  lines.length === 0 ? [] : renderToString(<Lines lines={lines} />, { columns }).split('\n')
