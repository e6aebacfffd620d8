//! The HTTP client that outputs share: not the load plane's, which measures, but one that delivers.

use async_trait::async_trait;
use http_body_util::BodyExt;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector as ClientMaker, HttpError, HttpErrorKind, HttpRequest,
    HttpRequestBody, HttpResponse, HttpResponseBody, HttpService,
};
use std::time::Duration;
use tokio::time::timeout;

/// How long one exchange may take.
const EXCHANGE_LIMIT: Duration = Duration::from_secs(60);

/// Makes clients for the object store's library.
#[derive(Debug)]
pub(crate) struct Clients;

impl ClientMaker for Clients {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        // An image without a certificate store has those that are built in.
        let connector = match HttpsConnectorBuilder::new().with_native_roots() {
            Ok(connector) => connector,
            Err(_) => HttpsConnectorBuilder::new().with_webpki_roots(),
        };
        let connector = connector.https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(HttpClient::new(Delivery(client)))
    }
}

/// One client with its connections.
#[derive(Debug)]
struct Delivery(Client<HttpsConnector<HttpConnector>, HttpRequestBody>);

#[async_trait]
impl HttpService for Delivery {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answered = timeout(EXCHANGE_LIMIT, self.0.request(request)).await;
        let answered = answered.map_err(|late| HttpError::new(HttpErrorKind::Timeout, late))?;
        let response = answered.map_err(|error| {
            let kind = match error.is_connect() {
                true => HttpErrorKind::Connect,
                false => HttpErrorKind::Request,
            };
            HttpError::new(kind, error)
        })?;
        Ok(response.map(|body| {
            let interrupted = |error| HttpError::new(HttpErrorKind::Interrupted, error);
            HttpResponseBody::new(body.map_err(interrupted))
        }))
    }
}
