// What the server writes at the head of sw.js (docs/tablet.md).
declare const VERSION: string;
declare const FILES: [name: string, hash: string, kind: string][];
declare const LATER: [name: string, hash: string, kind: string][];
declare const PIECES: [name: string, hash: string][];
