//! One request step: build, send, follow redirects, record, judge.

use std::borrow::Cow;

use drumfire_metrics::{EndpointId, ErrorCode, Outcome};
use drumfire_protocols::{
    Exchange, Failure, Headers, Request as WireRequest, RequestBytes, Timeouts, next_hop,
};
use drumfire_reactor::now;
use rand::RngExt;

use crate::build::{Address, BuildError, Builder, Hop};
use crate::endpoint::{Endpoint, endpoint_name, intern, observe_server_timing, server_total_ns};
use crate::expression::Expression;
use crate::judge::{Answer, Judge};
use crate::path::Scope;
use crate::program::ShardScript;
use crate::script::{Config, Request};
use crate::session::{Due, Failed, Session};
use crate::template::{Template, ValueTemplate};
use std::sync::Arc;

/// A request step as compiled for one shard.
pub(crate) struct SendableRequest {
    builder: Builder,
    endpoint: Endpoint,
    /// Where the hops of a chain of redirects after the first request are counted.
    hops: EndpointId,
    name: Option<Template>,
    method: Arc<str>,
    cookies: Vec<(Arc<str>, ValueTemplate)>,
    follow_redirect: bool,
    max_redirects: u32,
    timeouts: Option<Timeouts>,
    if_true: Option<Expression>,
    probability: Option<f64>,
    judge: Judge,
}

/// A request on its way: where it goes and with which bytes.
struct Outgoing<'a> {
    address: Cow<'a, Address>,
    /// None where the prepared bytes serve.
    bytes: Option<RequestBytes>,
}

impl SendableRequest {
    pub(crate) fn new(
        request: &Request,
        config: &Config,
        endpoint: Endpoint,
        hops: EndpointId,
        judge: Judge,
    ) -> Self {
        let defaults = config.http.default_cookies.iter().flatten();
        SendableRequest {
            builder: Builder::new(request, config),
            endpoint,
            hops,
            name: request.name.clone(),
            method: request.method.clone(),
            cookies: defaults.chain(&request.cookies).cloned().collect(),
            follow_redirect: request.follow_redirect,
            max_redirects: request.max_redirects,
            timeouts: request.response_timeout.map(Timeouts::artillery),
            if_true: request.if_true.clone(),
            probability: request.probability,
            judge,
        }
    }

    /// Whether the step is to be done at all this time.
    pub(crate) fn applies(&self, session: &Session<'_>) -> bool {
        if self.probability.is_none() && self.if_true.is_none() {
            return true;
        }
        let rng = &mut *session.rng.borrow_mut();
        if let Some(percent) = self.probability
            && rng.random_range(0.0..100.0) >= percent
        {
            return false;
        }
        self.if_true.as_ref().is_none_or(|condition| {
            let vars = session.vars.borrow();
            let lookup = |name: &str| vars.lookup(name).map(|v| Cow::Owned(v.into_owned()));
            condition.holds(&lookup, rng)
        })
    }

    /// Sends the request, follows where it leads and judges the last answer.
    pub(crate) async fn send(&self, session: &Session<'_>, due: &Due) -> Result<(), Failed> {
        let script = session.script;
        let outgoing = self
            .outgoing(session)
            .map_err(|error| self.refuse(session, error))?;
        let endpoint = self.endpoint(session, &outgoing.address);
        let wire = match &outgoing.bytes {
            Some(bytes) => bytes.request(),
            None => WireRequest::from_wire(self.builder.constant().expect("prepared").1),
        };
        script.recorder().borrow_mut().request(endpoint);
        let mut exchange = self.exchange(session, due, &outgoing.address, wire).await;
        if let Some(bytes) = outgoing.bytes {
            script.give_back(bytes);
        }
        self.keep_cookies(session, &outgoing.address, &exchange);
        let mut last = outgoing.address;
        if self.follow_redirect
            && let Some(chain) = self.redirected(&exchange, &self.method, &last, 0)
        {
            let end = Box::pin(self.follow(session, due, exchange, chain)).await;
            let end = end.map_err(|code| self.fail_at(session, endpoint, &code))?;
            (exchange, last) = (end.0, Cow::Owned(end.1));
        }
        self.record(session, endpoint, &exchange);
        self.conclude(session, &exchange, &last)
    }

    /// What is sent first.
    fn outgoing(&self, session: &Session<'_>) -> Result<Outgoing<'_>, BuildError> {
        if self.cookies.is_empty()
            && session.jar.borrow().is_idle()
            && let Some((address, _)) = self.builder.constant()
        {
            return Ok(Outgoing {
                address: Cow::Borrowed(address),
                bytes: None,
            });
        }
        let (vars, rng) = (&*session.vars.borrow(), &mut *session.rng.borrow_mut());
        let mut bytes = session.script.take_bytes();
        let now_unix_s = session.script.unix_s(now());
        let address = self.builder.address(vars, rng)?;
        let mut jar = session.jar.borrow_mut();
        jar.put(&self.cookies, &address, now_unix_s, vars, rng);
        let cookie = jar.header(&address, !self.cookies.is_empty(), now_unix_s);
        let hop = Hop {
            method: &self.method,
            address: &address,
            keeps_body: true,
            same_host: true,
        };
        self.builder
            .build_hop(vars, rng, &hop, cookie.as_deref(), &mut bytes)?;
        Ok(Outgoing {
            address,
            bytes: Some(bytes),
        })
    }

    fn endpoint(&self, session: &Session<'_>, address: &Address) -> EndpointId {
        match &self.endpoint {
            Endpoint::Fixed(endpoint) => *endpoint,
            Endpoint::Dynamic => {
                let config = &session.script.script.config;
                let name = self.name.as_ref().and_then(|name| {
                    name.render_text(&*session.vars.borrow(), &mut *session.rng.borrow_mut())
                });
                let options = &config.plugins.metrics_by_endpoint;
                let target = config.target.as_deref();
                let mut url = address.url.as_str();
                if self.builder.sets_query() {
                    // Names know the URL before `qs` went into it.
                    url = url.split('?').next().unwrap_or_default();
                }
                let name = endpoint_name(options, target, url, name.as_deref());
                intern(session.script.recorder(), name.as_deref())
            }
        }
    }

    async fn exchange(
        &self,
        session: &Session<'_>,
        due: &Due,
        address: &Address,
        request: WireRequest<'_>,
    ) -> Exchange {
        let script = session.script;
        let timeouts = self.timeouts.as_ref().unwrap_or(&script.timeouts);
        let wants = self.judge.wants();
        let exchange = script
            .client
            .exchange(
                session.connections,
                &address.origin,
                request,
                wants,
                timeouts,
                due.get(),
            )
            .await;
        due.set(exchange.sample.end_ns);
        script.note_failure(exchange.failure);
        exchange
    }

    /// Where the answer redirects to, if it does.
    fn redirected(
        &self,
        exchange: &Exchange,
        method: &str,
        from: &Address,
        followed: u32,
    ) -> Option<Result<drumfire_protocols::Hop, Failure>> {
        let response = exchange.response.as_ref()?;
        if !(300..400).contains(&response.status) {
            return None;
        }
        let location = response.headers.get("location");
        next_hop(
            response.status,
            location,
            method,
            &from.url,
            followed,
            self.max_redirects,
        )
        .transpose()
    }

    /// Records how the request ended, and what the server says that it took.
    fn record(&self, session: &Session<'_>, endpoint: EndpointId, exchange: &Exchange) {
        let recorder = &mut *session.script.recorder().borrow_mut();
        recorder.sample(endpoint, &exchange.sample);
        let headers = exchange.response.as_ref().map(|response| &response.headers);
        let timing = headers.and_then(|headers| headers.get("server-timing"));
        if let Some(total_ns) = timing.and_then(server_total_ns) {
            let options = &session.script.script.config.plugins.metrics_by_endpoint;
            observe_server_timing(recorder, options, endpoint, total_ns);
        }
    }

    /// Follows redirects to the last answer; each hop is a request and an answer. An error is
    /// what keeps it from going on.
    async fn follow(
        &self,
        session: &Session<'_>,
        due: &Due,
        mut exchange: Exchange,
        mut next: Result<drumfire_protocols::Hop, Failure>,
    ) -> Result<(Exchange, Address), ErrorCode> {
        let script = session.script;
        let mut method = self.method.clone();
        let (mut keeps_body, mut same_host) = (true, true);
        let mut followed = 0;
        loop {
            let sample = |exchange: &Exchange| {
                script
                    .recorder()
                    .borrow_mut()
                    .sample(self.hops, &exchange.sample);
            };
            sample(&exchange);
            let hop = next.map_err(|failure| ErrorCode::Borrowed(failure.code()))?;
            followed += 1;
            if hop.becomes_get {
                method = "GET".into();
                keeps_body = false;
            }
            same_host &= !hop.leaves_host;
            let at = Address {
                url: hop.url,
                origin: hop.origin,
            };
            let bytes = self
                .build_follower(session, &at, &method, keeps_body, same_host)
                .map_err(|error| error.0)?;
            script.recorder().borrow_mut().request(self.hops);
            exchange = self.exchange(session, due, &at, bytes.request()).await;
            script.give_back(bytes);
            self.keep_cookies(session, &at, &exchange);
            match self.redirected(&exchange, &method, &at, followed) {
                Some(further) => next = further,
                None => return Ok((exchange, at)),
            }
        }
    }

    fn build_follower(
        &self,
        session: &Session<'_>,
        address: &Address,
        method: &str,
        keeps_body: bool,
        same_host: bool,
    ) -> Result<RequestBytes, BuildError> {
        let (vars, rng) = (&*session.vars.borrow(), &mut *session.rng.borrow_mut());
        let now_unix_s = session.script.unix_s(now());
        let jar = session.jar.borrow();
        let cookie = jar.header(address, !self.cookies.is_empty(), now_unix_s);
        let hop = Hop {
            method,
            address,
            keeps_body,
            same_host,
        };
        let mut bytes = session.script.take_bytes();
        self.builder
            .build_hop(vars, rng, &hop, cookie.as_deref(), &mut bytes)?;
        Ok(bytes)
    }

    fn keep_cookies(&self, session: &Session<'_>, address: &Address, exchange: &Exchange) {
        let Some(response) = &exchange.response else {
            return;
        };
        if response.headers.get("set-cookie").is_none() {
            return;
        }
        let script = session.script;
        let options = &script.script.config.http.cookie_jar;
        let now_unix_s = script.unix_s(now());
        let mut jar = session.jar.borrow_mut();
        for error in jar.take(&response.headers, address, options, now_unix_s) {
            script.recorder().borrow_mut().error(error);
        }
    }

    /// Judges the last answer.
    fn conclude(
        &self,
        session: &Session<'_>,
        exchange: &Exchange,
        address: &Address,
    ) -> Result<(), Failed> {
        match &exchange.sample.outcome {
            Outcome::Status(status) => {
                let none = Headers::default();
                let (headers, body) = match &exchange.response {
                    Some(response) => (&response.headers, &response.body[..]),
                    None => (&none, &[][..]),
                };
                let answer = Answer {
                    status: *status,
                    headers,
                    body,
                    url: address.url.as_str(),
                    total_ns: exchange.sample.service_ns(),
                };
                self.judge.judge(session, &answer)
            }
            Outcome::Broken(..) | Outcome::Error(_) => Err(Failed),
        }
    }

    /// Counts a request that could not be built. As with Artillery an address that is none has
    /// no endpoint.
    fn refuse(&self, session: &Session<'_>, error: BuildError) -> Failed {
        match self.endpoint {
            Endpoint::Fixed(endpoint) if !error.is_of_address() => {
                self.fail_at(session, endpoint, &error.0)
            }
            _ => session.fail(&error.0),
        }
    }

    fn fail_at(&self, session: &Session<'_>, endpoint: EndpointId, code: &ErrorCode) -> Failed {
        let mut recorder = session.script.recorder().borrow_mut();
        recorder.refused(endpoint, code);
        Failed
    }
}

impl ShardScript {
    /// A buffer to build a request in.
    pub(crate) fn take_bytes(&self) -> RequestBytes {
        self.spare_bytes.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes a buffer back.
    pub(crate) fn give_back(&self, bytes: RequestBytes) {
        self.spare_bytes.borrow_mut().push(bytes);
    }

    fn note_failure(&self, failure: Option<Failure>) {
        let exhausted = match failure {
            Some(Failure::TooManyFiles) => &self.descriptors_exhausted,
            Some(Failure::AddressUnavailable) => &self.ports_exhausted,
            _ => return,
        };
        exhausted.set(exhausted.get() + 1);
    }
}
