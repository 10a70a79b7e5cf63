import { createRequire } from 'node:module'
import { Resvg } from '@resvg/resvg-js'

const FONTS = ['400Regular/Roboto_400Regular.ttf', '500Medium/Roboto_500Medium.ttf']

/** Pixels of the picture for each pixel of the drawing: small texts stay readable on today's screens. */
const ZOOM = 2

/** A drawing as PNG, with fonts that come with the program: the same bytes whatever is installed. */
export const renderPng = (svg: string): Uint8Array => {
  const { resolve } = createRequire(import.meta.url)
  const fontFiles = FONTS.map((path) => resolve(`@expo-google-fonts/roboto/${path}`))
  const font = { loadSystemFonts: false, fontFiles, defaultFontFamily: 'Roboto' }
  return new Resvg(svg, { fitTo: { mode: 'zoom', value: ZOOM }, font }).render().asPng()
}
