/**
 * Loads `ink`, and gives what puts painted lines on a terminal of a width as it does; spaces at their ends are left out.
 */
export const loadLines = async (): Promise<(lines: readonly string[], columns: number) => readonly string[]> => {
  const { Box, renderToString, Text } = await import('ink')
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
  return (lines, columns) =>
    lines.length === 0 ? [] : renderToString(<Lines lines={lines} />, { columns }).split('\n')
}
