//! libsystemd's journal reader, loaded at run time.
//!
//! One binary serves systems with and without systemd. Only what following a
//! journal needs is here; which entries, and what becomes of them, is for
//! [`source::journal`](crate::source).

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr::{NonNull, null, null_mut};
use std::slice;
use std::sync::OnceLock;

use libloading::Library;

/// An `sd_journal` object. Never looked into.
type Raw = *mut c_void;

/// The functions we call, as `sd-journal.h` declares them.
struct Api {
    open: unsafe extern "C" fn(*mut Raw, c_int) -> c_int,
    open_namespace: Option<unsafe extern "C" fn(*mut Raw, *const c_char, c_int) -> c_int>,
    open_directory: unsafe extern "C" fn(*mut Raw, *const c_char, c_int) -> c_int,
    open_files: unsafe extern "C" fn(*mut Raw, *const *const c_char, c_int) -> c_int,
    close: unsafe extern "C" fn(Raw),
    fd: unsafe extern "C" fn(Raw) -> c_int,
    process: unsafe extern "C" fn(Raw) -> c_int,
    set_threshold: unsafe extern "C" fn(Raw, usize) -> c_int,
    add_match: unsafe extern "C" fn(Raw, *const c_void, usize) -> c_int,
    add_disjunction: unsafe extern "C" fn(Raw) -> c_int,
    seek_realtime: unsafe extern "C" fn(Raw, u64) -> c_int,
    seek_cursor: unsafe extern "C" fn(Raw, *const c_char) -> c_int,
    test_cursor: unsafe extern "C" fn(Raw, *const c_char) -> c_int,
    cursor: unsafe extern "C" fn(Raw, *mut *mut c_char) -> c_int,
    next: unsafe extern "C" fn(Raw) -> c_int,
    realtime: unsafe extern "C" fn(Raw, *mut u64) -> c_int,
    monotonic: unsafe extern "C" fn(Raw, *mut u64, *mut [u64; 2]) -> c_int,
    restart_data: unsafe extern "C" fn(Raw),
    enumerate: unsafe extern "C" fn(Raw, *mut *const c_void, *mut usize) -> c_int,
}

unsafe extern "C" {
    /// The C library's, which is the one that libsystemd's memory is from.
    fn free(memory: *mut c_void);
}

/// Looks up one function.
fn symbol<F: Copy>(library: &Library, name: &CStr) -> Result<F, String> {
    // SAFETY: `F` is inferred from the field of `Api` that takes the result, and
    // each of those fields has the type that sd-journal.h declares for the name.
    let found = unsafe { library.get::<F>(name.to_bytes_with_nul()) };
    found
        .map(|symbol| *symbol)
        .map_err(|_| format!("libsystemd lacks {}", name.to_string_lossy()))
}

impl Api {
    fn load() -> Result<Self, String> {
        // SAFETY: libsystemd's initialisers have no requirements of their own.
        let library = unsafe { Library::new("libsystemd.so.0") };
        let library = library.map_err(|_| "libsystemd.so.0 is not installed".to_owned())?;
        // The library is never unloaded, so that the pointers stay good for ever.
        let library: &'static Library = Box::leak(Box::new(library));
        let enumerate = symbol(library, c"sd_journal_enumerate_available_data")
            .or_else(|_| symbol(library, c"sd_journal_enumerate_data"))?;
        Ok(Self {
            open: symbol(library, c"sd_journal_open")?,
            open_namespace: symbol(library, c"sd_journal_open_namespace").ok(),
            open_directory: symbol(library, c"sd_journal_open_directory")?,
            open_files: symbol(library, c"sd_journal_open_files")?,
            close: symbol(library, c"sd_journal_close")?,
            fd: symbol(library, c"sd_journal_get_fd")?,
            process: symbol(library, c"sd_journal_process")?,
            set_threshold: symbol(library, c"sd_journal_set_data_threshold")?,
            add_match: symbol(library, c"sd_journal_add_match")?,
            add_disjunction: symbol(library, c"sd_journal_add_disjunction")?,
            seek_realtime: symbol(library, c"sd_journal_seek_realtime_usec")?,
            seek_cursor: symbol(library, c"sd_journal_seek_cursor")?,
            test_cursor: symbol(library, c"sd_journal_test_cursor")?,
            cursor: symbol(library, c"sd_journal_get_cursor")?,
            next: symbol(library, c"sd_journal_next")?,
            realtime: symbol(library, c"sd_journal_get_realtime_usec")?,
            monotonic: symbol(library, c"sd_journal_get_monotonic_usec")?,
            restart_data: symbol(library, c"sd_journal_restart_data")?,
            enumerate,
        })
    }

    fn get() -> Result<&'static Self, String> {
        static API: OnceLock<Result<Api, String>> = OnceLock::new();
        API.get_or_init(Self::load).as_ref().map_err(Clone::clone)
    }
}

/// Why `libsystemd` cannot be used, if it cannot.
///
/// # Errors
///
/// If it is not installed or lacks a function.
pub fn usable() -> Result<(), String> {
    Api::get().map(drop)
}

/// Which journal to open.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Place {
    /// The one of this machine.
    Local,
    /// The one of a journal namespace.
    Namespace(String),
    /// All journal files in a directory.
    Directory(PathBuf),
    /// These journal files.
    Files(Vec<PathBuf>),
}

/// An open journal. It belongs to the thread that opened it: libsystemd allows
/// no other to touch it, even in turns, and so this is not `Send`.
pub struct Handle {
    api: &'static Api,
    journal: NonNull<c_void>,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

/// A negative result is an error number.
fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 {
        Err(io::Error::from_raw_os_error(result.saturating_neg()))
    } else {
        Ok(result)
    }
}

fn c_path(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

impl Handle {
    /// Opens a journal and asks the kernel to tell libsystemd of new files.
    ///
    /// # Errors
    ///
    /// If libsystemd is not there, or cannot open the journal.
    pub fn open(place: &Place, flags: i32) -> io::Result<Self> {
        let api = Api::get().map_err(io::Error::other)?;
        let mut raw: Raw = null_mut();
        let result = match place {
            // SAFETY: `raw` may be written to.
            Place::Local => unsafe { (api.open)(&raw mut raw, flags) },
            Place::Namespace(name) => {
                let open = api.open_namespace.ok_or(io::ErrorKind::Unsupported)?;
                let name = CString::new(name.as_str())?;
                // SAFETY: `raw` may be written to; `name` is a C string that outlives the call.
                unsafe { open(&raw mut raw, name.as_ptr(), flags) }
            }
            Place::Directory(path) => {
                let path = c_path(path)?;
                // SAFETY: `raw` may be written to; `path` is a C string that outlives the call.
                unsafe { (api.open_directory)(&raw mut raw, path.as_ptr(), flags) }
            }
            Place::Files(paths) => {
                let paths = paths
                    .iter()
                    .map(|path| c_path(path))
                    .collect::<io::Result<Vec<_>>>()?;
                let list: Vec<*const c_char> = paths
                    .iter()
                    .map(|path| path.as_ptr())
                    .chain([null()])
                    .collect();
                // SAFETY: `raw` may be written to; `list` ends in a null pointer, and it and
                // the C strings it points to outlive the call.
                unsafe { (api.open_files)(&raw mut raw, list.as_ptr(), flags) }
            }
        };
        check(result)?;
        let journal = NonNull::new(raw).ok_or(io::ErrorKind::Other)?;
        let handle = Self { api, journal };
        // SAFETY: the journal is open. Asking for the descriptor sets up inotify,
        // without which `process` would never find a new file.
        check(unsafe { (api.fd)(handle.raw()) })?;
        Ok(handle)
    }

    fn raw(&self) -> Raw {
        self.journal.as_ptr()
    }

    /// Fields longer than this many bytes may come cut.
    ///
    /// # Errors
    ///
    /// If libsystemd refuses.
    pub fn set_threshold(&mut self, bytes: usize) -> io::Result<()> {
        // SAFETY: the journal is open.
        check(unsafe { (self.api.set_threshold)(self.raw(), bytes) }).map(drop)
    }

    /// Asks for entries with this `FIELD=value`.
    ///
    /// # Errors
    ///
    /// If it is not of that form.
    pub fn add_match(&mut self, field: &str) -> io::Result<()> {
        if field.is_empty() {
            // A length of 0 would mean a C string.
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: the journal is open; pointer and length are those of `field`, which
        // libsystemd copies.
        check(unsafe { (self.api.add_match)(self.raw(), field.as_ptr().cast(), field.len()) })
            .map(drop)
    }

    /// Matches added from now on are an alternative to those before.
    ///
    /// # Errors
    ///
    /// If memory is short.
    pub fn add_disjunction(&mut self) -> io::Result<()> {
        // SAFETY: the journal is open.
        check(unsafe { (self.api.add_disjunction)(self.raw()) }).map(drop)
    }

    /// Goes before the first entry of this time or later.
    ///
    /// # Errors
    ///
    /// If libsystemd refuses.
    pub fn seek_realtime(&mut self, micros: u64) -> io::Result<()> {
        // SAFETY: the journal is open.
        check(unsafe { (self.api.seek_realtime)(self.raw(), micros) }).map(drop)
    }

    /// Goes before the entry of this cursor, or the next one if it is gone.
    ///
    /// # Errors
    ///
    /// If the text is not a cursor.
    pub fn seek_cursor(&mut self, cursor: &str) -> io::Result<()> {
        let cursor = CString::new(cursor)?;
        // SAFETY: the journal is open; `cursor` is a C string that outlives the call.
        check(unsafe { (self.api.seek_cursor)(self.raw(), cursor.as_ptr()) }).map(drop)
    }

    /// Whether the entry under the reading head is the one of this cursor.
    ///
    /// # Errors
    ///
    /// If there is no entry, or the text is not a cursor.
    pub fn at_cursor(&self, cursor: &str) -> io::Result<bool> {
        let cursor = CString::new(cursor)?;
        // SAFETY: the journal is open; `cursor` is a C string that outlives the call.
        Ok(check(unsafe { (self.api.test_cursor)(self.raw(), cursor.as_ptr()) })? > 0)
    }

    /// The cursor of the entry under the reading head.
    ///
    /// # Errors
    ///
    /// If there is no entry.
    pub fn cursor(&self) -> io::Result<String> {
        let mut text: *mut c_char = null_mut();
        // SAFETY: the journal is open; `text` may be written to.
        check(unsafe { (self.api.cursor)(self.raw(), &raw mut text) })?;
        // SAFETY: after success `text` is a C string that now is ours.
        let cursor = unsafe { CStr::from_ptr(text) }
            .to_string_lossy()
            .into_owned();
        // SAFETY: it came from malloc, is not used any more, and nobody else frees it.
        unsafe { free(text.cast()) };
        Ok(cursor)
    }

    /// Goes to the next entry; false at the end.
    ///
    /// # Errors
    ///
    /// If the journal cannot be read on.
    pub fn advance(&mut self) -> io::Result<bool> {
        // SAFETY: the journal is open, and no field of an earlier entry is borrowed any
        // more: `each_field` lends them only to its closure.
        Ok(check(unsafe { (self.api.next)(self.raw()) })? > 0)
    }

    /// Takes in what changed: files that are new, and files that are gone.
    ///
    /// # Errors
    ///
    /// If inotify fails.
    pub fn process(&mut self) -> io::Result<()> {
        // SAFETY: the journal is open.
        check(unsafe { (self.api.process)(self.raw()) }).map(drop)
    }

    /// When the journal got the entry under the reading head: microseconds since 1970.
    ///
    /// # Errors
    ///
    /// If there is no entry.
    pub fn realtime(&self) -> io::Result<u64> {
        let mut micros = 0;
        // SAFETY: the journal is open; `micros` may be written to.
        check(unsafe { (self.api.realtime)(self.raw(), &raw mut micros) })?;
        Ok(micros)
    }

    /// The same in microseconds since the machine of the entry started.
    ///
    /// # Errors
    ///
    /// If there is no entry.
    pub fn monotonic(&self) -> io::Result<u64> {
        let (mut micros, mut boot) = (0, [0; 2]);
        // SAFETY: the journal is open; `micros` and `boot` may be written to, and `boot`
        // has the size and alignment of an sd_id128_t.
        check(unsafe { (self.api.monotonic)(self.raw(), &raw mut micros, &raw mut boot) })?;
        Ok(micros)
    }

    /// Shows each `FIELD=value` of the entry under the reading head.
    ///
    /// # Errors
    ///
    /// If there is no entry, or it cannot be read to its end.
    pub fn each_field(&mut self, show: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        // SAFETY: the journal is open.
        unsafe { (self.api.restart_data)(self.raw()) };
        loop {
            let (mut data, mut size) = (null(), 0);
            // SAFETY: the journal is open; `data` and `size` may be written to.
            let more = unsafe { (self.api.enumerate)(self.raw(), &raw mut data, &raw mut size) };
            if check(more)? == 0 || data.is_null() {
                return Ok(());
            }
            // SAFETY: after success `data` points to `size` bytes, which stay until the
            // next call on this journal. The closure cannot keep them, and it cannot make
            // such a call: `self` is borrowed for us alone.
            show(unsafe { slice::from_raw_parts(data.cast(), size) });
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the journal is open, and nobody can use it after this.
        unsafe { (self.api.close)(self.raw()) };
    }
}
