import { homedir } from 'node:os'
import { accessFrom, type HubAccess } from '../hub/access.js'

/** The hub and its cache as the user's environment has them. */
export const userHub = (): HubAccess => accessFrom(process.env, homedir())
