//! Which connections are open to which origin, and who waits for one.
//!
//! A user of its own sockets and the users of a shared pool have the same
//! table: per origin a limit, idle connections (the last used first), and a
//! queue of waiters that are served in the order in which they came.

use crate::Origin;
use crate::http1::Http1Connection;
use crate::http2::Http2Connection;
use drumfire_reactor::{Part, will_touch};
use smallvec::SmallVec;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// The connections that a user's requests go through: its own, or a handle to
/// the pool that it shares with others.
pub struct Connections {
    kind: Kind,
}

enum Kind {
    Own(Table),
    Pool(Rc<Table>),
}

impl Connections {
    pub(crate) fn own(sockets: usize) -> Connections {
        Connections {
            kind: Kind::Own(Table::new(sockets)),
        }
    }

    pub(crate) fn pooled(pool: Rc<Table>) -> Connections {
        Connections {
            kind: Kind::Pool(pool),
        }
    }

    /// Connections that are open or being opened, idle ones included; those of
    /// the whole pool where there is one.
    pub fn open(&self) -> usize {
        self.table().open()
    }

    /// Closes the idle connections, as a user does that starts over.
    pub fn close_idle(&self) {
        self.table().close_idle();
    }

    pub(crate) fn table(&self) -> &Table {
        match &self.kind {
            Kind::Own(table) => table,
            Kind::Pool(table) => table,
        }
    }
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Connections({} open)", self.open())
    }
}

/// The connections of one user, or of one pool.
pub(crate) struct Table {
    sockets_per_origin: u32,
    places: RefCell<Vec<Place>>,
}

/// The connections to one origin.
struct Place {
    origin: Origin,
    /// Connections that are open or being opened, in use or not.
    open: u32,
    /// Boxed, since a connection moves to its user, whose future holds its address only; in place,
    /// since most users have one.
    idle: SmallVec<[Box<Http1Connection>; 1]>,
    shared: Vec<Rc<Http2Connection>>,
    waiters: VecDeque<Rc<Waiter>>,
}

/// What a request gets to go on with.
pub(crate) enum Grant {
    /// An open connection for itself.
    Http1(Box<Http1Connection>),
    /// A stream of a connection that others use too.
    Http2(Rc<Http2Connection>),
    /// Leave to open a connection.
    Open,
}

/// A connection that was just opened.
pub(crate) enum Opened {
    Http1(Box<Http1Connection>),
    Http2(Rc<Http2Connection>),
}

struct Waiter {
    grant: RefCell<Option<Grant>>,
    waker: RefCell<Option<Waker>>,
    gone: Cell<bool>,
}

impl Waiter {
    fn give(&self, grant: Grant) {
        *self.grant.borrow_mut() = Some(grant);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

impl Table {
    pub(crate) fn new(sockets_per_origin: usize) -> Table {
        Table {
            sockets_per_origin: u32::try_from(sockets_per_origin.max(1)).unwrap_or(u32::MAX),
            places: RefCell::default(),
        }
    }

    /// The idle connection used last.
    #[inline]
    pub(crate) fn take_idle<'a>(&'a self, origin: &'a Origin) -> Option<Lease<'a>> {
        let mut places = self.places.borrow_mut();
        let place = places.iter_mut().find(|place| place.origin == *origin)?;
        let connection = place.idle.pop()?;
        will_touch(Part::Origin, place);
        Some(Permit::new(self, origin).with(connection))
    }

    /// Takes a connection back that may carry another request.
    #[inline]
    pub(crate) fn give_back(&self, origin: &Origin, connection: Box<Http1Connection>) {
        self.with_place(origin, |place| match place.next_waiter() {
            Some(waiter) => waiter.give(Grant::Http1(connection)),
            None => place.idle.push(connection),
        });
    }

    /// Takes the news that a connection is closed, or that one could not be opened.
    pub(crate) fn closed(&self, origin: &Origin) {
        self.with_place(origin, |place| {
            place.open = place.open.saturating_sub(1);
            place.let_next_open(self.sockets_per_origin);
        });
    }

    /// Takes a connection that nobody has waited for.
    pub(crate) fn adopt(&self, origin: &Origin, opened: Opened) {
        self.with_place(origin, |place| place.open += 1);
        match opened {
            Opened::Http1(connection) => self.give_back(origin, connection),
            Opened::Http2(connection) => self.share(origin, &connection),
        }
    }

    /// How many more connections to an origin may be opened.
    pub(crate) fn room(&self, origin: &Origin) -> usize {
        let open = self.with_place(origin, |place| place.open);
        self.sockets_per_origin.saturating_sub(open) as usize
    }

    /// Takes a new connection that many may use at once; whoever waits may use it too.
    pub(crate) fn share(&self, origin: &Origin, connection: &Rc<Http2Connection>) {
        self.with_place(origin, |place| {
            place.shared.push(connection.clone());
            while let Some(waiter) = place.next_waiter() {
                waiter.give(Grant::Http2(connection.clone()));
            }
        });
    }

    /// A connection, leave to open one, or a wait for either.
    pub(crate) async fn claim(&self, origin: &Origin) -> Grant {
        match self.with_place(origin, |place| place.claim(self.sockets_per_origin)) {
            Ok(grant) => grant,
            Err(waiter) => {
                Waiting {
                    table: self,
                    origin,
                    waiter,
                }
                .granted()
                .await
            }
        }
    }

    pub(crate) fn open(&self) -> usize {
        let places = self.places.borrow();
        places.iter().map(|place| place.open as usize).sum()
    }

    fn close_idle(&self) {
        for place in &mut *self.places.borrow_mut() {
            place.open -= place.idle.len() as u32;
            place.open -= place.shared.len() as u32;
            place.idle.clear();
            place.shared.clear();
        }
    }

    fn with_place<T>(&self, origin: &Origin, act: impl FnOnce(&mut Place) -> T) -> T {
        let mut places = self.places.borrow_mut();
        let found = places.iter().position(|place| place.origin == *origin);
        let index = found.unwrap_or_else(|| {
            // Most users know one origin, and there may be a million of them.
            places.reserve_exact(1);
            places.push(Place::new(origin.clone()));
            places.len() - 1
        });
        act(&mut places[index])
    }
}

impl Place {
    fn new(origin: Origin) -> Place {
        Place {
            origin,
            open: 0,
            idle: SmallVec::new(),
            shared: Vec::new(),
            waiters: VecDeque::new(),
        }
    }

    fn claim(&mut self, limit: u32) -> Result<Grant, Rc<Waiter>> {
        if let Some(connection) = self.idle.pop() {
            return Ok(Grant::Http1(connection));
        }
        self.forget_ended();
        let least = self.shared.iter().min_by_key(|shared| shared.streams());
        match least {
            Some(shared) if shared.streams() == 0 || self.open >= limit => {
                return Ok(Grant::Http2(shared.clone()));
            }
            _ => {}
        }
        if self.open < limit {
            self.open += 1;
            return Ok(Grant::Open);
        }
        let waiter = Rc::new(Waiter {
            grant: RefCell::new(None),
            waker: RefCell::new(None),
            gone: Cell::new(false),
        });
        self.waiters.push_back(waiter.clone());
        Err(waiter)
    }

    fn forget_ended(&mut self) {
        let before = self.shared.len();
        self.shared.retain(|shared| !shared.is_ended());
        self.open -= (before - self.shared.len()) as u32;
    }

    fn next_waiter(&mut self) -> Option<Rc<Waiter>> {
        loop {
            let waiter = self.waiters.pop_front()?;
            if !waiter.gone.get() {
                return Some(waiter);
            }
        }
    }

    fn let_next_open(&mut self, limit: u32) {
        if self.open < limit
            && let Some(waiter) = self.next_waiter()
        {
            self.open += 1;
            waiter.give(Grant::Open);
        }
    }
}

/// A place in the queue. Giving up leaves the queue, and passes on what was
/// granted and not yet taken.
struct Waiting<'a> {
    table: &'a Table,
    origin: &'a Origin,
    waiter: Rc<Waiter>,
}

impl Waiting<'_> {
    async fn granted(self) -> Grant {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&self, context: &Context<'_>) -> Poll<Grant> {
        if let Some(grant) = self.waiter.grant.borrow_mut().take() {
            self.waiter.gone.set(true);
            return Poll::Ready(grant);
        }
        *self.waiter.waker.borrow_mut() = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.waiter.gone.set(true);
        match self.waiter.grant.borrow_mut().take() {
            Some(Grant::Http1(connection)) => self.table.give_back(self.origin, connection),
            Some(Grant::Open) => self.table.closed(self.origin),
            Some(Grant::Http2(_)) | None => {}
        }
    }
}

/// One connection in use. Dropped, it is closed: a user that is stopped in the
/// middle of an exchange closes its connection.
pub(crate) struct Lease<'a> {
    permit: Permit<'a>,
    connection: Box<Http1Connection>,
}

impl<'a> Lease<'a> {
    #[inline]
    pub(crate) fn connection(&mut self) -> &mut Http1Connection {
        &mut self.connection
    }

    /// Ends the lease with the connection open for the next request.
    #[inline]
    pub(crate) fn give_back(self) {
        let Lease { permit, connection } = self;
        permit.table.give_back(permit.origin, connection);
        std::mem::forget(permit);
    }

    /// Closes the connection and keeps the leave to open another.
    pub(crate) fn close(self) -> Permit<'a> {
        self.permit
    }
}

/// Leave to have one connection open, handed to the next waiter when dropped.
pub(crate) struct Permit<'a> {
    table: &'a Table,
    origin: &'a Origin,
}

impl<'a> Permit<'a> {
    #[inline]
    pub(crate) fn new(table: &'a Table, origin: &'a Origin) -> Permit<'a> {
        Permit { table, origin }
    }

    /// Goes on with an open connection.
    #[inline]
    pub(crate) fn with(self, connection: Box<Http1Connection>) -> Lease<'a> {
        Lease {
            permit: self,
            connection,
        }
    }

    /// Ends with a connection that is shared from now on.
    pub(crate) fn share(self, connection: &Rc<Http2Connection>) {
        self.table.share(self.origin, connection);
        std::mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.table.closed(self.origin);
    }
}
