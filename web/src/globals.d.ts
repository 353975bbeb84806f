/** Where the build puts ONNX Runtime's own files, relative to the page. */
declare const __ORT_FOLDER__: string;
